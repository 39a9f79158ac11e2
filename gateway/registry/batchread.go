package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// A storedBatch is a row of batch with the lease of its load.
type storedBatch struct {
	id       gateway.BatchID
	agency   gateway.AgencyID
	key      []byte
	contract gateway.ContractID
	content  [32]byte
	version  int
	manifest gateway.Manifest
	policy   gateway.Revision
	actor    string
	state    gateway.BatchState
	load     gateway.LoadID
	attempt  int
	seq      uint64
	stored   int
	refused  int
	sealed   []byte // the receipt
	erased   bool
	lease    time.Time
	unit     int // of the key that sent it; 0: none
	late     []gateway.Quarter
	linkage  gateway.Linkage
	created  time.Time
	accepted time.Time // zero while it is not
}

const batchColumns = `batch.id, agency, key, contract, content, version, period_from, period_to, kind, reject, policy, actor,
	state, batch.load, batch.attempt, seq, stored, refused, receipt, erased IS NOT NULL, lease, coalesce(batch.unit, 0), expected, previous,
	late, created, accepted, linkage`

// A querier is a change or the read pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// queryBatches returns the batches that meet a condition of this package's own text.
func queryBatches(ctx context.Context, from querier, where string, args ...any) ([]storedBatch, error) {
	rows, err := from.QueryContext(ctx, `SELECT `+batchColumns+` FROM batch JOIN load ON load.id = batch.load WHERE `+where, args...)
	if err != nil {
		return nil, internal("reading batches", err)
	}
	defer rows.Close()
	var all []storedBatch
	for rows.Next() {
		b, err := scanBatch(rows)
		if err != nil {
			return nil, internal("reading batches", err)
		}
		all = append(all, b)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading batches", err)
	}
	return all, nil
}

func scanBatch(rows *sql.Rows) (storedBatch, error) {
	var b storedBatch
	var content []byte
	var from, to, late, linkage string
	var load, lease, created, accepted int64
	err := rows.Scan(&b.id, &b.agency, &b.key, &b.contract, &content, &b.version, &from, &to, &b.manifest.Kind,
		&b.manifest.Reject, &b.policy, &b.actor, &b.state, &load, &b.attempt, &b.seq, &b.stored, &b.refused,
		&b.sealed, &b.erased, &lease, &b.unit, &b.manifest.Records, &b.manifest.Previous, &late, &created, &accepted, &linkage)
	if err != nil {
		return storedBatch{}, err
	}
	var ok1, ok2 bool
	b.manifest.PeriodFrom, ok1 = gateway.ParseDay([]byte(from))
	b.manifest.PeriodTo, ok2 = gateway.ParseDay([]byte(to))
	if !ok1 || !ok2 || copy(b.content[:], content) != len(b.content) {
		return storedBatch{}, fmt.Errorf("batch %s is damaged", b.id)
	}
	b.load, b.lease, b.created = gateway.LoadID(unsigned(load)), fromMillis(lease), fromMillis(created)
	if accepted != 0 {
		b.accepted = fromMillis(accepted)
	}
	b.late, err = parseQuarters(late)
	if err == nil && linkage != "" && json.Unmarshal([]byte(linkage), &b.linkage) != nil {
		err = fmt.Errorf("batch %s is damaged", b.id)
	}
	return b, err
}

func (c *change) findBatch(ctx context.Context, where string, args ...any) (storedBatch, bool, error) {
	found, err := queryBatches(ctx, c, where, args...)
	if err != nil || len(found) == 0 {
		return storedBatch{}, false, err
	}
	return found[0], true, nil
}

func (b storedBatch) batch() gateway.Batch {
	return gateway.Batch{
		ID: b.id, Contract: b.contract, Agency: b.agency, State: b.state, Manifest: b.manifest,
		Stored: b.stored, Refused: b.refused, Seq: b.seq, Load: b.load, Policy: b.policy, Unit: b.unit,
		Linkage: b.linkage, Late: b.late, Created: b.created, Accepted: b.accepted,
	}
}

func (r *Registry) batches(ctx context.Context, where string, args ...any) ([]gateway.Batch, error) {
	stored, err := queryBatches(ctx, r.read, where, args...)
	if err != nil {
		return nil, err
	}
	return batchesOf(stored), nil
}

// Batches returns an agency's batches, the newest first.
func (r *Registry) Batches(ctx context.Context, agency gateway.AgencyID) ([]gateway.Batch, error) {
	return r.batches(ctx, `agency = ? ORDER BY created DESC, batch.rowid DESC`, agency)
}

// Batch returns a batch of an agency. It reports NotFound for that of another.
func (r *Registry) Batch(ctx context.Context, agency gateway.AgencyID, id gateway.BatchID) (gateway.Batch, error) {
	all, err := r.batches(ctx, `agency = ? AND batch.id = ?`, agency, id)
	if err != nil {
		return gateway.Batch{}, err
	}
	if len(all) == 0 {
		return gateway.Batch{}, gateway.Errorf(gateway.NotFound, "there is no such batch")
	}
	return all[0], nil
}

// Receipt returns the receipt of an agency's accepted batch, the same bytes as ever.
func (r *Registry) Receipt(ctx context.Context, agency gateway.AgencyID, id gateway.BatchID) ([]byte, error) {
	b := storedBatch{id: id}
	err := r.read.QueryRowContext(ctx, `SELECT receipt FROM batch WHERE agency = ? AND id = ? AND receipt IS NOT NULL`,
		agency, id).Scan(&b.sealed)
	if err != nil {
		return nil, missing(err, "there is no such accepted batch")
	}
	return r.unseal(b)
}

// Pending returns the batches to roll forward: committed ones, whose marker may be
// missing, and withdrawn ones, whose marker or erasure may be. The Seq of a withdrawn
// batch is that of its withdrawal, so the marker of a batch with the largest Seq says
// what it is.
func (r *Registry) Pending(ctx context.Context) ([]gateway.Batch, error) {
	return r.batches(ctx, `state = 'committed' OR (state = 'withdrawn' AND erased IS NULL) ORDER BY seq`)
}

// Published returns the batches that a release of the snapshot upTo holds, in the
// order of commitment.
func (r *Registry) Published(ctx context.Context, upTo uint64) ([]gateway.Batch, error) {
	return r.batches(ctx, `state = 'published' AND seq <= ? ORDER BY seq`, upTo)
}

// Snapshot returns the newest Seq up to which every accepted batch is published or
// withdrawn; 0 when there is none. An erasure, too, makes a new snapshot: of the same
// batches, with less in them.
func (r *Registry) Snapshot(ctx context.Context) (uint64, error) {
	n, err := r.count(ctx, `SELECT coalesce((SELECT min(seq) - 1 FROM batch WHERE state = 'committed'),
		(SELECT max(seq) FROM (SELECT seq FROM batch WHERE state IN ('published', 'withdrawn') UNION ALL SELECT done FROM erasure)), 0)`)
	return unsigned(n), err
}

func (r *Registry) count(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	if err := r.read.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		return 0, internal("reading the registry", err)
	}
	return n, nil
}

// A Load is the rows of one attempt, as the registry knows them.
type Load struct {
	ID       gateway.LoadID
	Batch    gateway.BatchID
	Contract gateway.ContractID
	State    gateway.BatchState // of the batch
	Rows     int                // once committed
	MAC      uint64             // sum of chk, once committed
}

// LiveLoads returns the loads whose rows must stay: of accepted batches, and of
// attempts that may still be accepted.
func (r *Registry) LiveLoads(ctx context.Context) ([]Load, error) {
	return r.loads(ctx, `state IN ('loading', 'committed', 'published') AND batch.load = load.id`)
}

// DeadLoads returns the loads that ended before a time and whose rows may be deleted:
// nothing can be accepted with them any more.
func (r *Registry) DeadLoads(ctx context.Context, endedBefore time.Time) ([]Load, error) {
	return r.loads(ctx, `ended < ? AND swept IS NULL
		AND NOT (state IN ('loading', 'committed', 'published') AND batch.load = load.id)`, millis(endedBefore))
}

func (r *Registry) loads(ctx context.Context, where string, args ...any) ([]Load, error) {
	//nolint:gosec // the condition is this package's own text; values are arguments
	rows, err := r.read.QueryContext(ctx, `SELECT load.id, batch.id, contract, state, rows, mac
		FROM load JOIN batch ON batch.id = load.batch WHERE `+where+` ORDER BY load.id`, args...)
	if err != nil {
		return nil, internal("reading loads", err)
	}
	defer rows.Close()
	var all []Load
	for rows.Next() {
		var l Load
		var id, mac int64
		if err := rows.Scan(&id, &l.Batch, &l.Contract, &l.State, &l.Rows, &mac); err != nil {
			return nil, internal("reading loads", err)
		}
		l.ID, l.MAC = gateway.LoadID(unsigned(id)), unsigned(mac)
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading loads", err)
	}
	return all, nil
}

// SweptLoad records that a dead load's rows were deleted, so that [Registry.DeadLoads]
// no longer returns it.
func (r *Registry) SweptLoad(ctx context.Context, load gateway.LoadID) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		return c.only(ctx, `UPDATE load SET swept = ? WHERE id = ? AND ended IS NOT NULL`, millis(c.now), signed(load))
	})
}

func loadText(load gateway.LoadID) string { return fmt.Sprintf("%016x", uint64(load)) }
