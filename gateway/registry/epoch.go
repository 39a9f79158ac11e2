package registry

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A KeyState is what an outer key of pids is for now.
type KeyState string

// The states, in their order.
const (
	KeyPending   KeyState = "pending"   // made; a rotation will bring it into force
	KeyActive    KeyState = "active"    // in force: all live rows are under it
	KeyRetired   KeyState = "retired"   // a rotation moved all rows away from it
	KeyDestroyed KeyState = "destroyed" // the keyring no longer holds it
)

// A KeyEpoch is one outer key of pids, by its number and check value.
type KeyEpoch struct {
	Epoch     int       `json:"epoch"`
	State     KeyState  `json:"state"`
	KCV       string    `json:"check_value"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
	Destroyed time.Time `json:"destroyed,omitzero"`
	// Doomed: its destruction was decided; the keyring may hold it still.
	Doomed bool `json:"doomed,omitempty"`
}

// KeyEpochs returns all epochs there ever were, the first one first.
func (r *Registry) KeyEpochs(ctx context.Context) ([]KeyEpoch, error) {
	return keyEpochs(ctx, r.read)
}

func keyEpochs(ctx context.Context, from querier) ([]KeyEpoch, error) {
	rows, err := from.QueryContext(ctx, `SELECT epoch, state, kcv, created, coalesce(activated, 0), coalesce(retired, 0),
		coalesce(destroyed, 0), doomed IS NOT NULL FROM key_epoch ORDER BY epoch`)
	if err != nil {
		return nil, internal("reading the keys' epochs", err)
	}
	defer rows.Close()
	var all []KeyEpoch
	for rows.Next() {
		var e KeyEpoch
		var times [4]int64
		if err := rows.Scan(&e.Epoch, &e.State, &e.KCV, &times[0], &times[1], &times[2], &times[3], &e.Doomed); err != nil {
			return nil, internal("reading the keys' epochs", err)
		}
		for i, at := range []*time.Time{&e.Created, &e.Activated, &e.Retired, &e.Destroyed} {
			if times[i] != 0 {
				*at = fromMillis(times[i])
			}
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading the keys' epochs", err)
	}
	return all, nil
}

// Active returns the epoch in force, and Epoch 0 before the first [Registry.Seal].
func (r *Registry) Active(ctx context.Context) (KeyEpoch, error) { return active(ctx, r.read) }

func active(ctx context.Context, from querier) (KeyEpoch, error) {
	all, err := keyEpochs(ctx, from)
	if err != nil {
		return KeyEpoch{}, err
	}
	for _, e := range all {
		if e.State == KeyActive {
			return e, nil
		}
	}
	return KeyEpoch{}, nil
}

// Seal ties the registry to the keys that make pseudonyms, by their check value with the
// epoch in force. The first call stores it and logs it; later ones refuse another,
// because rows under another key would never link to those that are there (trust.md 5.1,
// 6.2 F19).
func (r *Registry) Seal(ctx context.Context, epoch int, kcv string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		now, err := active(ctx, c)
		switch {
		case err != nil:
			return err
		case now.Epoch == epoch && now.KCV == kcv:
			return nil
		case now.Epoch != 0:
			return gateway.Errorf(gateway.Conflict, "the keyring is not the one of this registry: its check value differs")
		}
		_, err = c.ExecContext(ctx, `INSERT INTO key_epoch (epoch, state, kcv, created, activated) VALUES (?, 'active', ?, ?, ?)`,
			epoch, kcv, millis(c.now), millis(c.now))
		if err != nil {
			return internal("storing the keys' check value", err)
		}
		return c.logKey(ctx, ledger.KeyCreate, "gateway", epoch, ledger.Done, map[string]any{"kcv": kcv, "state": KeyActive})
	})
}

// logKey logs what became of an outer key, in the transaction of the change.
func (c *change) logKey(ctx context.Context, event ledger.Event, actor string, epoch int, outcome ledger.Outcome, detail map[string]any) error {
	_, err := c.log(ctx, ledger.Entry{
		Event: event, Actor: actor, Object: "pseudonyms/epoch-" + strconv.Itoa(epoch), Outcome: outcome, Detail: detail,
	})
	return err
}

// AddEpoch records that the keyring holds a new outer key, which is pending until a
// rotation. There is one pending key at a time.
func (r *Registry) AddEpoch(ctx context.Context, actor string, epoch int, kcv string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		all, err := keyEpochs(ctx, c)
		if err != nil {
			return err
		}
		for _, e := range all {
			switch {
			case e.State == KeyPending:
				return gateway.Errorf(gateway.Conflict, "epoch %d is pending already; rotate to it, or destroy it", e.Epoch)
			case e.Epoch >= epoch:
				return gateway.Errorf(gateway.Conflict, "epoch %d was used before", epoch)
			}
		}
		_, err = c.ExecContext(ctx, `INSERT INTO key_epoch (epoch, state, kcv, created) VALUES (?, 'pending', ?, ?)`,
			epoch, kcv, millis(c.now))
		if err != nil {
			return internal("storing a key's check value", err)
		}
		return c.logKey(ctx, ledger.KeyCreate, actor, epoch, ledger.Done, map[string]any{"kcv": kcv, "state": KeyPending})
	})
}

// DoomEpoch decides that an outer key is to be destroyed: a pending one, or a retired
// one of which no rows are left. [Registry.DestroyedEpoch] says when it is done.
// The proposal is the one that two people signed; see [Registry.ProposeKeys].
func (r *Registry) DoomEpoch(ctx context.Context, actor string, epoch int, proposal string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		e, err := c.epoch(ctx, epoch)
		switch {
		case err != nil:
			return err
		case e.State == KeyDestroyed:
			return gateway.Errorf(gateway.Conflict, "the key of epoch %d is destroyed already", epoch)
		case e.State == KeyActive:
			return gateway.Errorf(gateway.Conflict, "the key of epoch %d is in force; rotate to another first", epoch)
		case e.Doomed:
			return nil
		}
		if err := c.unused(ctx, epoch); err != nil {
			return err
		}
		if err := c.noneUnder(ctx, epoch); err != nil {
			return err
		}
		if err := c.authorise(ctx, DestroyKey, epoch, proposal); err != nil {
			return err
		}
		if err := c.only(ctx, `UPDATE key_epoch SET doomed = ? WHERE epoch = ? AND doomed IS NULL`, millis(c.now), epoch); err != nil {
			return err
		}
		return c.logKey(ctx, ledger.KeyDestroy, actor, epoch, ledger.Intended, map[string]any{"kcv": e.KCV, "state": e.State, "proposal": proposal})
	})
}

// unused refuses to destroy a key while a rotation runs, or before the rows that were
// under it are off the disk: until then somebody may have to look back.
func (c *change) unused(ctx context.Context, epoch int) error {
	var running, left int
	err := errors.Join(
		c.QueryRowContext(ctx, `SELECT count(*) FROM rotation WHERE state = 'running'`).Scan(&running),
		c.QueryRowContext(ctx, `SELECT count(*) FROM rekeyed JOIN rotation USING (generation) JOIN load ON load.id = rekeyed.old
			WHERE state = 'done' AND from_epoch = ? AND swept IS NULL`, epoch).Scan(&left),
	)
	switch {
	case err != nil:
		return internal("looking for rows under a key", err)
	case running > 0:
		return gateway.Errorf(gateway.Conflict, "a rotation is running; wait for its end")
	case left > 0:
		return gateway.Errorf(gateway.Conflict, "%d loads under the key of epoch %d are not erased yet; try again in a minute", left, epoch)
	}
	return nil
}

func (c *change) epoch(ctx context.Context, epoch int) (KeyEpoch, error) {
	all, err := keyEpochs(ctx, c)
	if err != nil {
		return KeyEpoch{}, err
	}
	for _, e := range all {
		if e.Epoch == epoch {
			return e, nil
		}
	}
	return KeyEpoch{}, gateway.Errorf(gateway.NotFound, "there is no key of epoch %d", epoch)
}

// DestroyedEpoch records that the keyring no longer holds an outer key. It may be
// repeated.
func (r *Registry) DestroyedEpoch(ctx context.Context, actor string, epoch int) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		e, err := c.epoch(ctx, epoch)
		if err != nil || e.State == KeyDestroyed {
			return err
		}
		err = c.only(ctx, `UPDATE key_epoch SET state = 'destroyed', destroyed = ? WHERE epoch = ? AND doomed IS NOT NULL`, millis(c.now), epoch)
		if err != nil {
			return err
		}
		return c.logKey(ctx, ledger.KeyDestroy, actor, epoch, ledger.Done, map[string]any{"kcv": e.KCV})
	})
}

// current refuses to accept rows that were made under another outer key than the one in
// force: they would link with nothing.
func (c *change) current(ctx context.Context, batch gateway.BatchID) error {
	var rotated bool
	err := c.QueryRowContext(ctx, `SELECT e.kcv <> b.kcv FROM key_epoch e, batch b WHERE e.state = 'active' AND b.id = ?`, batch).Scan(&rotated)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil // a registry that was never sealed
	case err != nil:
		return internal("reading the key in force", err)
	case rotated:
		return gateway.Errorf(gateway.Overloaded, "the keys were rotated while the batch was on its way; nothing was stored: send it again with the same Idempotency-Key")
	}
	return nil
}
