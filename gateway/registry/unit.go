package registry

import (
	"context"

	"github.com/pana-exchange/pana/gateway"
)

// unit returns the number of a part of an agency, and gives it the next one when it is
// new: 0 for no part. The name is an operator's word; whoever uploads cannot choose the
// unit that its batches count for (disclosure.md 2.4 rule 2), only use the key that it
// was given.
func (c *change) unit(ctx context.Context, agency gateway.AgencyID, name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	_, err := c.ExecContext(ctx, `INSERT INTO unit (agency, name) VALUES (?, ?) ON CONFLICT DO NOTHING`, agency, name)
	if err != nil {
		return 0, internal("storing a unit", err)
	}
	var number int
	err = c.QueryRowContext(ctx, `SELECT id FROM unit WHERE agency = ? AND name = ?`, agency, name).Scan(&number)
	if err != nil {
		return 0, internal("reading a unit", err)
	}
	return number, nil
}
