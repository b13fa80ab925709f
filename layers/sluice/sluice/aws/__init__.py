"""The thin modules that speak to AWS; a ClientError never leaves them."""
