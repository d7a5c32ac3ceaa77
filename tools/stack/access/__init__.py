"""Who may do what in the stack: roles, keys, secrets, and the page of privileges."""
