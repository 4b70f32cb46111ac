"""What is asked of a collection of images: a task, a label schema, a reference rule."""
