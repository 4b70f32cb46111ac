"""What is seen: reading files, keeping their pixels as cases, and drawing them."""
