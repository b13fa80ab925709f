"""Client keys: who may call a door that is open to the internet, and how much.

keys       the text of a key and what can be checked about it without a table
register   keys in the table: made, found, listed, revoked
spending   what each key has used, by month and by minute
guard      what a door asks: who calls, may they, and what did it cost
console    ``python -m sluice.access``
"""
