package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A Build is what is known of a release before it is counted.
type Build struct {
	Lineage    string
	Snapshot   uint64
	Policy     gateway.Revision
	Definition []byte         // the definition and its rules, JSON
	Steward    gateway.Caller // who builds it
	// First and Last are the days of its window.
	First, Last gateway.Day
	// After is the last public release, whose quarters are closed; "" for the first.
	After    gateway.ReleaseID
	Yearly   bool      // it takes everything that came late, once in a year
	Spending *Spending // of a public lineage
}

// lineageID is the form of a lineage: a part of a release's id and of noise labels.
var lineageID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// maxReason is the most bytes of the reason that an officer gives.
const maxReason = 2000

// BeginRelease reserves the next number of a lineage and logs the intent. It reports
// Conflict while another release of the lineage is being built, for one that may not
// follow those that were public (of another lineage, or too soon), and for one that
// the privacy budget of the lineage does not allow.
func (r *Registry) BeginRelease(ctx context.Context, b Build) (gateway.Release, error) {
	if !lineageID.MatchString(b.Lineage) {
		return gateway.Release{}, gateway.Errorf(gateway.Invalid, "a lineage matches %s", lineageID)
	}
	rel := gateway.Release{
		Lineage: b.Lineage, State: gateway.ReleaseBuilding, Snapshot: b.Snapshot, Policy: b.Policy, Definition: b.Definition,
	}
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var building bool
		err := c.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) + 1, coalesce(max(state = 'building'), 0)
			FROM release WHERE lineage = ?`, b.Lineage).Scan(&rel.Number, &building)
		if err != nil {
			return internal("reading the releases", err)
		}
		if building {
			return gateway.Errorf(gateway.Conflict, "a release of %s is being built", b.Lineage)
		}
		err = c.mayFollow(ctx, rel, b.After, b.Yearly)
		if err != nil {
			return err
		}
		rel.ID = gateway.ReleaseID(fmt.Sprintf("%s-%d", b.Lineage, rel.Number))
		_, err = c.ExecContext(ctx, `INSERT INTO release (id, lineage, number, state, snapshot, policy, definition, steward, after, yearly, window_from, window_to)
			VALUES (?, ?, ?, 'building', ?, ?, ?, ?, ?, ?, ?, ?)`,
			rel.ID, rel.Lineage, rel.Number, rel.Snapshot, rel.Policy, append([]byte{}, rel.Definition...), b.Steward.Subject, b.After, b.Yearly,
			b.First.String(), b.Last.String())
		if err != nil {
			return internal("storing a release", err)
		}
		var detail any
		if b.Spending != nil {
			if err := c.spend(ctx, rel, *b.Spending); err != nil {
				return err
			}
			detail = map[string]string{"rho": decimal(b.Spending.Rho), "yearly": decimal(b.Spending.Yearly)}
		}
		return c.logRelease(ctx, ledger.ReleaseIntent, b.Steward.Key, rel, ledger.Intended, detail)
	})
	if err != nil {
		return gateway.Release{}, err
	}
	return rel, nil
}

func (c *change) logRelease(
	ctx context.Context, event ledger.Event, actor string, rel gateway.Release, outcome ledger.Outcome, detail any,
) error {
	_, err := c.log(ctx, ledger.Entry{
		Event: event, Actor: actor, Object: string(rel.ID), Policy: rel.Policy, Snapshot: rel.Snapshot,
		Outcome: outcome, Detail: detail,
	})
	if err != nil {
		return err
	}
	// Every release's leaf is signed at once (trust.md 4.1).
	return c.sign(ctx)
}

// Finished is what a build leaves behind.
type Finished struct {
	Digest     string // SHA-256 of the published cells, hex
	Definition []byte // with what was pinned while building
	Page       []byte // the risk page; approval names its SHA-256
	Reasons    []byte // why each cell is what it is; stored sealed
}

// FinishRelease records that a release's cells are protected and described. Nothing
// answers yet.
func (r *Registry) FinishRelease(ctx context.Context, id gateway.ReleaseID, f Finished) error {
	if sum, err := hex.DecodeString(f.Digest); err != nil || len(sum) != 32 {
		return internal("finishing a release", errors.New("the digest is not a SHA-256 in hex"))
	}
	if len(f.Page) == 0 {
		return internal("finishing a release", errors.New("there is no risk page"))
	}
	sum := sha256.Sum256(f.Page)
	page := hex.EncodeToString(sum[:])
	reasons, err := r.opt.Seal(f.Reasons, reasonsOf(id))
	if err != nil {
		return internal("sealing the reasons of a release", err)
	}
	return r.changeRelease(ctx, id, func(ctx context.Context, c *change, rel storedRelease) error {
		if rel.State != gateway.ReleaseBuilding {
			return gateway.Errorf(gateway.Conflict, "release %s is not being built", id)
		}
		err := c.only(ctx, `UPDATE release SET state = 'built', digest = ?, page = ?, definition = ?, built = ? WHERE id = ?`,
			f.Digest, page, append([]byte{}, f.Definition...), millis(c.now), id)
		if err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO release_page VALUES (?, ?, ?)`, id, f.Page, reasons); err != nil {
			return internal("storing the risk page", err)
		}
		return c.logRelease(ctx, ledger.ReleaseBuilt, "gateway", rel.Release, ledger.Done,
			map[string]string{"cells": f.Digest, "page": page})
	})
}

// FailRelease ends a build without a release; its number is used up. The outcome is
// Refused (by a gate), Failed or Cancelled; the detail is only committed to.
func (r *Registry) FailRelease(ctx context.Context, id gateway.ReleaseID, outcome ledger.Outcome, detail any) error {
	return r.changeRelease(ctx, id, func(ctx context.Context, c *change, rel storedRelease) error {
		if rel.State != gateway.ReleaseBuilding {
			return gateway.Errorf(gateway.Conflict, "release %s is not being built", id)
		}
		return c.failRelease(ctx, rel.Release, outcome, detail)
	})
}

func (c *change) failRelease(ctx context.Context, rel gateway.Release, outcome ledger.Outcome, detail any) error {
	if err := c.only(ctx, `UPDATE release SET state = 'failed' WHERE id = ?`, rel.ID); err != nil {
		return err
	}
	return c.logRelease(ctx, ledger.ReleaseFailed, "gateway", rel, outcome, detail)
}

// failLeftovers ends the builds that an earlier process left behind.
func (r *Registry) failLeftovers(ctx context.Context) error {
	left, err := r.releases(ctx, `state = 'building'`)
	if err != nil || len(left) == 0 {
		return err
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		for _, rel := range left {
			if err := c.failRelease(ctx, rel, ledger.Expired, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// ApproveRelease opens a release: an officer who did not build it approves the digest
// of its risk page, which holds that of the cells, and the lineage's earlier approved
// release is superseded. It may be repeated. It reports Mismatch for another digest, Forbidden for whoever may
// not approve it, and Conflict for a release that is not built or not the newest, and
// for one that counted a batch which was withdrawn since.
func (r *Registry) ApproveRelease(
	ctx context.Context, id gateway.ReleaseID, page string, officer gateway.Caller, reason string,
) error {
	if len(reason) > maxReason {
		return gateway.Errorf(gateway.Invalid, "a reason has at most %d bytes", maxReason)
	}
	return r.changeRelease(ctx, id, func(ctx context.Context, c *change, rel storedRelease) error {
		switch {
		case officer.Role != gateway.RoleOfficer:
			return gateway.Errorf(gateway.Forbidden, "only an officer approves a release")
		case officer.Subject == rel.steward:
			return gateway.Errorf(gateway.Forbidden, "whoever built a release does not approve it")
		case rel.State != gateway.ReleaseBuilt && rel.State != gateway.ReleaseApproved:
			return gateway.Errorf(gateway.Conflict, "release %s is %s", id, rel.State)
		case rel.Page == "" || rel.Page != page:
			return gateway.Errorf(gateway.Mismatch, "the risk page of release %s has another digest; read it again", id)
		case rel.State == gateway.ReleaseApproved:
			return nil
		}
		if err := c.supersede(ctx, rel.Release, officer); err != nil {
			return err
		}
		if err := c.mayFollow(ctx, rel.Release, rel.after, rel.yearly); err != nil {
			return err
		}
		if err := c.stillThere(ctx, rel); err != nil {
			return err
		}
		err := c.only(ctx, `UPDATE release SET state = 'approved', officer = ?, approved = ? WHERE id = ?`, officer.Subject, millis(c.now), id)
		if err != nil {
			return err
		}
		return c.logRelease(ctx, ledger.ReleaseApprove, officer.Key, rel.Release, ledger.Done,
			map[string]string{"page": rel.Page, "cells": rel.Digest, "reason": reason})
	})
}

// supersede closes the approved release of the same lineage: two that answer could be
// subtracted (disclosure.md 2.8).
func (c *change) supersede(ctx context.Context, rel gateway.Release, officer gateway.Caller) error {
	open, err := queryReleases(ctx, c, `lineage = ? AND state = 'approved'`, rel.Lineage)
	if err != nil || len(open) == 0 {
		return err
	}
	earlier := open[0].Release
	if earlier.Number > rel.Number {
		return gateway.Errorf(gateway.Conflict, "release %s is newer and approved", earlier.ID)
	}
	if err := c.only(ctx, `UPDATE release SET state = 'superseded' WHERE id = ?`, earlier.ID); err != nil {
		return err
	}
	return c.logRelease(ctx, ledger.ReleaseSupersede, officer.Key, earlier, ledger.Done, nil)
}

// WithdrawRelease closes a release for good. It may be repeated. It reports Conflict
// for one that is being built or failed.
func (r *Registry) WithdrawRelease(ctx context.Context, id gateway.ReleaseID, by gateway.Caller, reason string) error {
	if len(reason) > maxReason {
		return gateway.Errorf(gateway.Invalid, "a reason has at most %d bytes", maxReason)
	}
	return r.changeRelease(ctx, id, func(ctx context.Context, c *change, rel storedRelease) error {
		switch rel.State {
		case gateway.ReleaseWithdrawn:
			return nil
		case gateway.ReleaseBuilding, gateway.ReleaseFailed:
			return gateway.Errorf(gateway.Conflict, "release %s is %s", id, rel.State)
		case gateway.ReleaseBuilt, gateway.ReleaseApproved, gateway.ReleaseSuperseded:
		}
		if err := c.only(ctx, `UPDATE release SET state = 'withdrawn' WHERE id = ?`, id); err != nil {
			return err
		}
		return c.logRelease(ctx, ledger.ReleaseWithdraw, by.Key, rel.Release, ledger.Done, map[string]string{"reason": reason})
	})
}

func (r *Registry) changeRelease(
	ctx context.Context, id gateway.ReleaseID, f func(context.Context, *change, storedRelease) error,
) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		found, err := queryReleases(ctx, c, `id = ?`, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return gateway.Errorf(gateway.NotFound, "there is no such release")
		}
		return f(ctx, c, found[0])
	})
}

// Release returns a release. It reports NotFound when there is none.
func (r *Registry) Release(ctx context.Context, id gateway.ReleaseID) (gateway.Release, error) {
	found, err := r.releases(ctx, `id = ?`, id)
	if err != nil {
		return gateway.Release{}, err
	}
	if len(found) == 0 {
		return gateway.Release{}, gateway.Errorf(gateway.NotFound, "there is no such release")
	}
	return found[0], nil
}

// Releases returns every release, by lineage, the newest first.
func (r *Registry) Releases(ctx context.Context) ([]gateway.Release, error) {
	return r.releases(ctx, `true ORDER BY lineage, number DESC`)
}

func (r *Registry) releases(ctx context.Context, where string, args ...any) ([]gateway.Release, error) {
	stored, err := queryReleases(ctx, r.read, where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]gateway.Release, len(stored))
	for i, s := range stored {
		list[i] = s.Release
	}
	return list, nil
}

type storedRelease struct {
	gateway.Release
	steward string
	after   gateway.ReleaseID
	yearly  bool
	first   gateway.Day // of its window
	last    gateway.Day
}

func queryReleases(ctx context.Context, from querier, where string, args ...any) ([]storedRelease, error) {
	rows, err := from.QueryContext(ctx, `SELECT id, lineage, number, state, snapshot, policy, digest, page, definition, built, steward, after, yearly, approved, window_from, window_to
		FROM release WHERE `+where, args...)
	if err != nil {
		return nil, internal("reading the releases", err)
	}
	defer rows.Close()
	var list []storedRelease
	for rows.Next() {
		var s storedRelease
		var built, approved sql.NullInt64
		var from, to string
		err := rows.Scan(&s.ID, &s.Lineage, &s.Number, &s.State, &s.Snapshot, &s.Policy, &s.Digest, &s.Page, &s.Definition, &built,
			&s.steward, &s.after, &s.yearly, &approved, &from, &to)
		if err != nil {
			return nil, internal("reading the releases", err)
		}
		s.first, _ = gateway.ParseDay([]byte(from)) // one that cannot be read is open
		s.last, _ = gateway.ParseDay([]byte(to))
		if built.Valid {
			s.Built = fromMillis(built.Int64)
		}
		if approved.Valid {
			s.Approved = fromMillis(approved.Int64)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading the releases", err)
	}
	return list, nil
}
