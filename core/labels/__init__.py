"""What readers say about images: answers that are only ever added, and the reference made of them."""
