"""Recipe and snapshot in, model out. Keras is imported only inside a job."""
