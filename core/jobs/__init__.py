"""Background work: a queue of rows that stay, a worker that supervises, one child process per job."""
