package warehouse

// Corrupt makes the load believe that another value was sent in a column, which
// is what a value that the server stored wrongly looks like.
func (l *Load) Corrupt(column int) { l.sums[column]++ }
