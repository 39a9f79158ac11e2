package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// cellLife is how long a request to look at a cell can be confirmed, and its answer
// be read.
const cellLife = 24 * time.Hour

// MaxCellViews is how many views of cells of one release are confirmed within 24 hours,
// by all officers together: single complaints need no more, and two who take turns
// should not read out a table.
const MaxCellViews = 5

// A CellView is a request of one officer to learn why one cell is what it is, and
// the confirmation of another.
type CellView struct {
	ID        int64
	Release   gateway.ReleaseID
	Cell      string // canonical label
	Asker     string // subject
	Confirmer string // subject; "" while nobody has confirmed
	Asked     time.Time
	Until     time.Time // nothing can be done with it from then on
}

// Confirmed reports whether the answer may be given.
func (v *CellView) Confirmed() bool { return v.Confirmer != "" }

// Object is what the view is called in the ledger. The cell's label is in the leaf's
// detail only.
func (v *CellView) Object() string { return fmt.Sprintf("%s/cell/%d", v.Release, v.ID) }

// AskCell requests to look at one cell of a release. It returns the view that the
// same officer has asked for already or has confirmed, confirmed or not, and reports
// Conflict while the officer waits for another one, or another officer waits for this
// one to be confirmed: one request at a time, one cell a request.
func (r *Registry) AskCell(ctx context.Context, id gateway.ReleaseID, cell string, officer gateway.Caller, reason string) (CellView, error) {
	if err := mayView(officer, reason); err != nil {
		return CellView{}, err
	}
	var v CellView
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var err error
		v, err = c.openView(ctx, `release = ? AND cell = ?`, id, cell)
		switch {
		case err == nil && (v.Asker == officer.Subject || v.Confirmer == officer.Subject):
			return nil
		case err == nil && !v.Confirmed():
			return gateway.Errorf(gateway.Conflict, "another officer has asked for this cell; confirm it, or ask for another")
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return internal("reading the views of cells", err)
		}
		waiting, err := c.openView(ctx, `asker = ? AND confirmer IS NULL`, officer.Subject)
		switch {
		case err == nil:
			return gateway.Errorf(gateway.Conflict, "you wait for another cell of %s until %s; one request at a time",
				waiting.Release, waiting.Until.Format(time.RFC3339))
		case !errors.Is(err, sql.ErrNoRows):
			return internal("reading the views of cells", err)
		}
		v = CellView{Release: id, Cell: cell, Asker: officer.Subject, Asked: c.now, Until: c.now.Add(cellLife)}
		err = c.QueryRowContext(ctx, `INSERT INTO cell_view (release, cell, asker, asked, until) VALUES (?, ?, ?, ?, ?) RETURNING id`,
			id, cell, v.Asker, millis(v.Asked), millis(v.Until)).Scan(&v.ID)
		if err != nil {
			return internal("storing a view of a cell", err)
		}
		return c.logView(ctx, ledger.CellAsk, &v, officer, ledger.Intended, reason)
	})
	return v, err
}

// ConfirmCell lets another officer's request be answered. It reports Forbidden to
// whoever asked, NotFound when nobody asks for the cell, or not any more, and Conflict
// when [MaxCellViews] were confirmed for the release within 24 hours.
func (r *Registry) ConfirmCell(ctx context.Context, id gateway.ReleaseID, cell string, officer gateway.Caller, reason string) (CellView, error) {
	if err := mayView(officer, reason); err != nil {
		return CellView{}, err
	}
	var v CellView
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var err error
		v, err = c.openView(ctx, `release = ? AND cell = ? AND confirmer IS NULL`, id, cell)
		if err != nil {
			return missing(err, "no officer waits for this cell to be confirmed; a request lasts %d hours", cellLife/time.Hour)
		}
		if v.Asker == officer.Subject {
			return gateway.Errorf(gateway.Forbidden, "whoever asks for a cell does not confirm it: that is for another officer")
		}
		if err := c.fewViews(ctx, id); err != nil {
			return err
		}
		v.Confirmer = officer.Subject
		if err := c.only(ctx, `UPDATE cell_view SET confirmer = ?, confirmed = ? WHERE id = ?`, v.Confirmer, millis(c.now), v.ID); err != nil {
			return err
		}
		return c.logView(ctx, ledger.CellConfirm, &v, officer, ledger.Done, reason)
	})
	if err != nil {
		return CellView{}, err
	}
	return v, nil
}

func (c *change) fewViews(ctx context.Context, id gateway.ReleaseID) error {
	var n int
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM cell_view WHERE release = ? AND confirmed > ?`,
		id, millis(c.now.Add(-24*time.Hour))).Scan(&n)
	if err != nil {
		return internal("counting the views of cells", err)
	}
	if n >= MaxCellViews {
		return gateway.Errorf(gateway.Conflict, "%d views of cells of %s were confirmed within 24 hours, which is the most; confirm this one later, or ask again tomorrow", n, id)
	}
	return nil
}

// ReadCell logs that the answer to a confirmed view leaves; it may when this returns
// nil. It reports Withheld when the view is over or was never
// confirmed.
func (r *Registry) ReadCell(ctx context.Context, v CellView, officer gateway.Caller) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		now, err := c.openView(ctx, `id = ?`, v.ID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return internal("reading the views of cells", err)
		}
		if err != nil || !now.Confirmed() || now.Asker != officer.Subject && now.Confirmer != officer.Subject {
			return gateway.Errorf(gateway.Withheld, "the request for this cell is over, or nobody has confirmed it")
		}
		_, err = c.log(ctx, ledger.Entry{
			Event: ledger.CellRead, Actor: officer.Key, Object: now.Object(), Outcome: ledger.Allowed,
			Detail: map[string]string{"cell": now.Cell}, // not the answer: it is kept sealed only
		})
		return err
	})
}

func mayView(officer gateway.Caller, reason string) error {
	switch {
	case officer.Role != gateway.RoleOfficer:
		return gateway.Errorf(gateway.Forbidden, "only officers look at single cells")
	case strings.TrimSpace(reason) == "" || len(reason) > maxReason:
		return gateway.Errorf(gateway.Invalid, "looking at a single cell needs a reason, of at most %d bytes", maxReason)
	}
	return nil
}

// openView returns the newest view that is not over yet.
func (c *change) openView(ctx context.Context, where string, args ...any) (CellView, error) {
	var v CellView
	var asked, until int64
	err := c.QueryRowContext(ctx, `SELECT id, release, cell, asker, coalesce(confirmer, ''), asked, until FROM cell_view
		WHERE until > ? AND `+where+` ORDER BY id DESC LIMIT 1`, append([]any{millis(c.now)}, args...)...).
		Scan(&v.ID, &v.Release, &v.Cell, &v.Asker, &v.Confirmer, &asked, &until)
	v.Asked, v.Until = fromMillis(asked), fromMillis(until)
	return v, err
}

func (c *change) logView(ctx context.Context, event ledger.Event, v *CellView, officer gateway.Caller, outcome ledger.Outcome, reason string) error {
	_, err := c.log(ctx, ledger.Entry{
		Event: event, Actor: officer.Key, Object: v.Object(), Outcome: outcome,
		Detail: map[string]string{"cell": v.Cell, "reason": reason},
	})
	return err
}
