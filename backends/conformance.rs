//! What every backend has to do, as a function that returns each violation.
