"""Who may do what: users, one-time sign-in tokens, server-side sessions."""
