package registry

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A Rotation is one attempt to move all rows from one outer key to the next.
type Rotation struct {
	Generation uint32
	From, To   KeyEpoch
	Actor      string
}

// A Rekey is one batch to copy to another outer key.
type Rekey struct {
	Batch    gateway.BatchID
	Contract gateway.ContractID
	Version  int // of the contract
	Seq      uint64
	Old, New gateway.LoadID // New is 0 until [Registry.BeginRekey]
	Rows     int
	MAC      uint64
}

// ErrLeftBehind is why a rotation cannot end yet: batches were accepted since the last
// [Registry.Unrotated].
var ErrLeftBehind = errors.New("batches are left behind")

// Generation returns the number of the newest rotation that is done; 0 for none.
func (r *Registry) Generation(ctx context.Context) (uint32, error) {
	n, err := r.count(ctx, `SELECT coalesce(max(generation), 0) FROM rotation WHERE state = 'done'`)
	return uint32(n), err //nolint:gosec // nobody rotates four billion times
}

// BeginRotation logs the intent to move all rows to the pending key.
// The proposal is the one that two people signed; see [Registry.ProposeKeys].
func (r *Registry) BeginRotation(ctx context.Context, actor, proposal string) (Rotation, error) {
	rot := Rotation{Actor: actor}
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		all, err := keyEpochs(ctx, c)
		if err != nil {
			return err
		}
		for _, e := range all {
			switch {
			case e.State == KeyActive:
				rot.From = e
			case e.State == KeyPending && !e.Doomed:
				rot.To = e
			}
		}
		if rot.From.Epoch == 0 || rot.To.Epoch == 0 {
			return gateway.Errorf(gateway.Conflict, "there is no pending key to rotate to; make one with: pana keys new-epoch")
		}
		var running bool
		err = c.QueryRowContext(ctx, `SELECT count(*) FROM rotation WHERE state = 'running'`).Scan(&running)
		if err != nil {
			return internal("beginning a rotation", err)
		}
		if running {
			return gateway.Errorf(gateway.Conflict, "a rotation is running already")
		}
		if err := c.nothingGoes(ctx); err != nil {
			return err
		}
		if err := c.authorise(ctx, RotateKeys, rot.To.Epoch, proposal); err != nil {
			return err
		}
		err = c.QueryRowContext(ctx, `INSERT INTO rotation (from_epoch, to_epoch, actor, state, started) VALUES (?, ?, ?, 'running', ?)
			RETURNING generation`, rot.From.Epoch, rot.To.Epoch, actor, millis(c.now)).Scan(&rot.Generation)
		if err != nil {
			return internal("beginning a rotation", err)
		}
		return c.logRotation(ctx, rot, ledger.Intended, map[string]any{"proposal": proposal})
	})
	return rot, err
}

func (c *change) logRotation(ctx context.Context, rot Rotation, outcome ledger.Outcome, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	detail["generation"], detail["from"], detail["kcv"] = rot.Generation, rot.From.Epoch, rot.To.KCV
	return c.logKey(ctx, ledger.KeyRotate, rot.Actor, rot.To.Epoch, outcome, detail)
}

// live is the SQL of the batches that a rotation must move.
const live = `batch.state IN ('committed', 'published')`

// Unrotated returns the accepted batches that a rotation has not copied whole.
func (r *Registry) Unrotated(ctx context.Context, generation uint32) ([]Rekey, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT batch.id, contract, version, seq, batch.load, load.rows, load.mac
		FROM batch JOIN load ON load.id = batch.load
		LEFT JOIN rekeyed k ON k.generation = ? AND k.batch = batch.id AND k.old = batch.load AND k.rows IS NOT NULL
		WHERE `+live+` AND k.batch IS NULL ORDER BY seq`, generation)
	if err != nil {
		return nil, internal("looking for batches to rotate", err)
	}
	defer rows.Close()
	var all []Rekey
	for rows.Next() {
		var k Rekey
		var old, mac int64
		if err := rows.Scan(&k.Batch, &k.Contract, &k.Version, &k.Seq, &old, &k.Rows, &mac); err != nil {
			return nil, internal("looking for batches to rotate", err)
		}
		k.Old, k.MAC = gateway.LoadID(unsigned(old)), unsigned(mac)
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("looking for batches to rotate", err)
	}
	return all, nil
}

// BeginRekey draws the random load id under which a batch is copied. It reports Conflict
// when the batch is no longer accepted.
func (r *Registry) BeginRekey(ctx context.Context, generation uint32, k Rekey) (Rekey, error) {
	random, err := r.random(8)
	if err != nil {
		return Rekey{}, err
	}
	k.New = gateway.LoadID(binary.BigEndian.Uint64(random))
	err = r.change(ctx, func(ctx context.Context, c *change) error {
		err := c.only(ctx, `INSERT INTO load (id, batch, attempt, lease) SELECT ?, id, attempt, ? FROM batch WHERE id = ? AND load = ? AND `+live,
			signed(k.New), millis(c.now), k.Batch, signed(k.Old))
		if err != nil {
			return err
		}
		// A copy that failed before, within the same rotation, is swept.
		_, err = c.ExecContext(ctx, `UPDATE load SET ended = ? WHERE id IN (SELECT load FROM rekeyed WHERE generation = ? AND batch = ?)`,
			millis(c.now), generation, k.Batch)
		if err != nil {
			return internal("beginning a copy", err)
		}
		_, err = c.ExecContext(ctx, `INSERT INTO rekeyed (generation, batch, old, load) VALUES (?, ?, ?, ?)
			ON CONFLICT (generation, batch) DO UPDATE SET old = excluded.old, load = excluded.load, rows = NULL, mac = NULL`,
			generation, k.Batch, signed(k.Old), signed(k.New))
		if err != nil {
			return internal("beginning a copy", err)
		}
		return nil
	})
	return k, err
}

// FinishRekey records that a copy is stored whole, with the sum of its rows' MACs.
func (r *Registry) FinishRekey(ctx context.Context, generation uint32, k Rekey, mac uint64) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		return c.only(ctx, `UPDATE rekeyed SET rows = ?, mac = ? WHERE generation = ? AND load = ? AND old = ?
			AND generation IN (SELECT generation FROM rotation WHERE state = 'running')`,
			k.Rows, signed(mac), generation, signed(k.New), signed(k.Old))
	})
}

// FinishRotation is the one moment of a rotation: in one transaction every accepted
// batch is in its new load, the new key is in force and the old one retired. It reports
// [ErrLeftBehind], and changes nothing, while an accepted batch has no copy.
func (r *Registry) FinishRotation(ctx context.Context, rot Rotation) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		err := c.only(ctx, `UPDATE rotation SET state = 'done', ended = ? WHERE generation = ? AND state = 'running'`, millis(c.now), rot.Generation)
		if err != nil {
			return err
		}
		moved, err := c.moved(ctx, rot)
		if err != nil {
			return err
		}
		if err := c.move(ctx, rot); err != nil {
			return err
		}
		if err := c.allMoved(ctx, rot); err != nil {
			return err
		}
		return c.logRotation(ctx, rot, ledger.Done, map[string]any{"batches": moved})
	})
}

// move gives every batch its new load, and the new key force.
func (c *change) move(ctx context.Context, rot Rotation) error {
	var failed error
	do := func(query string, args ...any) {
		if failed == nil {
			_, failed = c.ExecContext(ctx, query, args...)
		}
	}
	now, generation := millis(c.now), rot.Generation
	do(`UPDATE load SET rows = k.rows, mac = k.mac FROM rekeyed k
		WHERE k.load = load.id AND k.generation = ? AND k.rows IS NOT NULL`, generation)
	do(`UPDATE load SET ended = coalesce(ended, ?) FROM rekeyed k WHERE k.old = load.id AND k.generation = ?`, now, generation)
	do(`UPDATE batch SET load = k.load, kcv = ? FROM rekeyed k
		WHERE k.batch = batch.id AND k.old = batch.load AND k.rows IS NOT NULL AND k.generation = ? AND `+live, rot.To.KCV, generation)
	// Copies of batches that were withdrawn meanwhile.
	do(`UPDATE load SET ended = coalesce(ended, ?) FROM rekeyed k WHERE k.load = load.id AND k.generation = ?
		AND load.id NOT IN (SELECT load FROM batch)`, now, generation)
	do(`UPDATE key_epoch SET state = 'retired', retired = ? WHERE epoch = ? AND state = 'active'`, now, rot.From.Epoch)
	do(`UPDATE key_epoch SET state = 'active', activated = ? WHERE epoch = ? AND state = 'pending' AND doomed IS NULL`, now, rot.To.Epoch)
	if failed != nil {
		return internal("ending a rotation", failed)
	}
	return nil
}

// moved names both loads of every batch, for the leaf (decisions.md 8).
func (c *change) moved(ctx context.Context, rot Rotation) ([][3]string, error) {
	rows, err := c.QueryContext(ctx, `SELECT k.batch, k.old, k.load FROM rekeyed k JOIN batch ON batch.id = k.batch AND batch.load = k.old
		WHERE k.generation = ? AND k.rows IS NOT NULL AND `+live+` ORDER BY seq`, rot.Generation)
	if err != nil {
		return nil, internal("ending a rotation", err)
	}
	defer rows.Close()
	moved := [][3]string{}
	for rows.Next() {
		var batch string
		var old, load int64
		if err := rows.Scan(&batch, &old, &load); err != nil {
			return nil, internal("ending a rotation", err)
		}
		moved = append(moved, [3]string{batch, loadText(gateway.LoadID(unsigned(old))), loadText(gateway.LoadID(unsigned(load)))})
	}
	if err := rows.Err(); err != nil {
		return nil, internal("ending a rotation", err)
	}
	return moved, nil
}

// allMoved proves what a rotation is: no accepted batch is under another key than the
// one in force.
func (c *change) allMoved(ctx context.Context, rot Rotation) error {
	now, err := active(ctx, c)
	if err != nil {
		return err
	}
	if now.Epoch != rot.To.Epoch {
		return gateway.Errorf(gateway.Conflict, "the key of epoch %d is not pending any more", rot.To.Epoch)
	}
	var left int
	err = c.QueryRowContext(ctx, `SELECT count(*) FROM batch WHERE kcv <> ? AND `+live, rot.To.KCV).Scan(&left)
	if err != nil {
		return internal("ending a rotation", err)
	}
	if left > 0 {
		return ErrLeftBehind
	}
	return nil
}

// FailRotation ends a rotation that did not come to its end: the old key stays in force,
// and what was copied is dead. It may be repeated, and does nothing to one that is done.
func (r *Registry) FailRotation(ctx context.Context, rot Rotation, outcome ledger.Outcome) error {
	return r.change(ctx, func(ctx context.Context, c *change) error { return c.failRotation(ctx, rot, outcome) })
}

func (c *change) failRotation(ctx context.Context, rot Rotation, outcome ledger.Outcome) error {
	err := c.only(ctx, `UPDATE rotation SET state = 'failed', ended = ? WHERE generation = ? AND state = 'running'`, millis(c.now), rot.Generation)
	if errors.Is(err, gateway.Conflict) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `UPDATE load SET ended = coalesce(ended, ?) WHERE id IN (SELECT load FROM rekeyed WHERE generation = ?)`,
		millis(c.now), rot.Generation)
	if err != nil {
		return internal("ending a rotation", err)
	}
	return c.logRotation(ctx, rot, outcome, nil)
}

// ExpireRotation ends the rotation of a gateway that is gone, and returns the loads
// that rotations left and that nothing needs: copies of one that failed, and what was
// under the old key after one that is done.
func (r *Registry) ExpireRotation(ctx context.Context) error {
	n, err := r.count(ctx, `SELECT count(*) FROM rotation WHERE state = 'running'`)
	if n == 0 || err != nil {
		return err
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var rot Rotation
		err := c.QueryRowContext(ctx, `SELECT generation, from_epoch, to_epoch, actor, kcv FROM rotation JOIN key_epoch ON epoch = to_epoch
			WHERE rotation.state = 'running'`).Scan(&rot.Generation, &rot.From.Epoch, &rot.To.Epoch, &rot.Actor, &rot.To.KCV)
		if err != nil {
			return internal("reading the running rotation", err)
		}
		return c.failRotation(ctx, rot, ledger.Expired)
	})
}

// RotationLeftovers returns the dead loads of rotations that are over: nothing but the
// rotation itself, which has ended, ever wrote to them, so they need not wait.
func (r *Registry) RotationLeftovers(ctx context.Context) ([]Load, error) {
	return r.loads(ctx, `ended IS NOT NULL AND swept IS NULL AND batch.load <> load.id AND load.id IN (
		SELECT load FROM rekeyed JOIN rotation USING (generation) WHERE rotation.state <> 'running'
		UNION SELECT old FROM rekeyed JOIN rotation USING (generation) WHERE rotation.state = 'done')`)
}

// LoadsOf returns the loads that may have rows of a batch: every attempt's, and every
// rotation's.
func (r *Registry) LoadsOf(ctx context.Context, batch gateway.BatchID) ([]Load, error) {
	return r.loads(ctx, `batch.id = ? AND swept IS NULL`, batch)
}
