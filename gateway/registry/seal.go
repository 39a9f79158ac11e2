package registry

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// Seal ties the registry to the keys that make pseudonyms, by their check value. The
// first call stores it and logs it; later ones refuse another, because rows under
// another key would never link to those that are there (trust.md 5.1).
func (r *Registry) Seal(ctx context.Context, kcv string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var sealed string
		err := c.QueryRowContext(ctx, `SELECT value FROM kcv WHERE name = 'pseudonyms'`).Scan(&sealed)
		switch {
		case err == nil && sealed == kcv:
			return nil
		case err == nil:
			return gateway.Errorf(gateway.Conflict, "the keyring is not the one of this registry: its check value differs")
		case !errors.Is(err, sql.ErrNoRows):
			return internal("reading the keys' check value", err)
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO kcv VALUES ('pseudonyms', ?)`, kcv); err != nil {
			return internal("storing the keys' check value", err)
		}
		_, err = c.log(ctx, ledger.Entry{
			Event: ledger.KeyCreate, Actor: "gateway", Object: "pseudonyms", Outcome: ledger.Done,
			Detail: map[string]string{"kcv": kcv},
		})
		return err
	})
}
