"""Jobs over HTTPS, for the function ``serve_api``: made, followed, steered, read and deleted by whoever owns them."""
