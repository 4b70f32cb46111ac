"""Looking at cases together: searching them, and what people say about them."""
