package registry

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// A Spending is what a release takes from the privacy budget of its lineage, in
// billionths of rho (disclosure.md 2.10).
type Spending struct {
	Rho    int64
	Yearly int64 // the budget of one year
}

// Spent is what a lineage has spent, in billionths of rho.
type Spent struct {
	Year int64 `json:"year"` // by the builds of the year asked for
	Ever int64 `json:"ever"`
}

// countedSpending selects what was spent: by every build that began, whatever became of
// it. One that failed or died may have stored noisy cells before, and noise that was
// drawn is spent. Nothing is given back.
const countedSpending = `FROM privacy p WHERE p.lineage = ?`

// spend enters what a release costs, in the transaction of its intent, and refuses
// what would exceed the budget of the year: a hard stop, before a record is read.
// Within a year the smallest budget that any build declared holds, so that a
// definition edited meanwhile buys nothing.
func (c *change) spend(ctx context.Context, rel gateway.Release, s Spending) error {
	year := c.now.UTC().Year()
	var spent int64
	var least sql.NullInt64
	err := c.QueryRowContext(ctx, `SELECT coalesce(sum(p.rho), 0), min(p.yearly) `+countedSpending+` AND p.year = ?`,
		rel.Lineage, year).Scan(&spent, &least)
	if err != nil {
		return internal("reading a privacy budget", err)
	}
	yearly := s.Yearly
	if least.Valid {
		yearly = min(yearly, least.Int64)
	}
	if s.Rho > yearly-spent {
		return gateway.Errorf(gateway.Conflict, "the privacy budget of %s for %d does not allow this: a release costs rho %s, and %s of %s is left",
			rel.Lineage, year, decimal(s.Rho), decimal(max(0, yearly-spent)), decimal(yearly))
	}
	_, err = c.ExecContext(ctx, `INSERT INTO privacy (release, lineage, year, rho, yearly) VALUES (?, ?, ?, ?, ?)`,
		rel.ID, rel.Lineage, year, s.Rho, s.Yearly)
	if err != nil {
		return internal("spending a privacy budget", err)
	}
	return nil
}

// decimal writes billionths.
func decimal(n int64) string { return fmt.Sprintf("%d.%09d", n/1_000_000_000, n%1_000_000_000) }

// PrivacySpent returns what a lineage has spent in a year and in all.
func (r *Registry) PrivacySpent(ctx context.Context, lineage string, year int) (Spent, error) {
	var s Spent
	err := r.read.QueryRowContext(ctx, `SELECT coalesce(sum(iif(p.year = ?, p.rho, 0)), 0), coalesce(sum(p.rho), 0) `+countedSpending,
		year, lineage).Scan(&s.Year, &s.Ever)
	if err != nil {
		return Spent{}, internal("reading a privacy budget", err)
	}
	return s, nil
}
