package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// An Intent is what is known of an upload before its body is read.
type Intent struct {
	Agency   gateway.AgencyID
	Actor    string // id of the API key
	Contract gateway.ContractID
	Version  int      // of the contract
	Key      string   // the Idempotency-Key: 1 to 255 printable ASCII characters
	Content  [32]byte // HMAC(K_digest, SHA-256 of the body), from Content-Digest
	Manifest gateway.Manifest
	Policy   gateway.Revision
	KCV      string        // check value of the keys that make the batch's pseudonyms
	Lease    time.Duration // how long the attempt may be silent
}

// An Attempt is what became of an intent: a load to fill, or the receipt of a batch
// that was accepted before.
type Attempt struct {
	Batch   gateway.BatchID
	Load    gateway.LoadID // to tag the rows with; 0 beside a receipt
	Number  int            // of the attempt, from 1
	State   gateway.BatchState
	Receipt []byte // to repeat byte for byte, or nil
	// RetryAfter says, beside a Conflict, when the attempt in flight may be dead.
	RetryAfter time.Duration
}

// BeginBatch is T1 of loading.md 3.1. It begins an attempt, or returns the receipt
// of the batch that was accepted under this key or with this content. It reports
// Mismatch when the key came with other content or another manifest, and Conflict
// while another attempt is alive, or when the key's batch was withdrawn.
func (r *Registry) BeginBatch(ctx context.Context, in Intent) (Attempt, error) {
	if err := in.validate(); err != nil {
		return Attempt{}, err
	}
	var a Attempt
	err := r.change(ctx, func(ctx context.Context, c *change) (err error) {
		a, err = c.beginBatch(ctx, in, r.hashKey(in.Key))
		return err
	})
	return a, err
}

func (in *Intent) validate() error {
	switch {
	case !validKey(in.Key):
		return gateway.Errorf(gateway.Invalid, "Idempotency-Key must be 1 to 255 printable ASCII characters")
	case in.Lease <= 0:
		return internal("beginning a batch", fmt.Errorf("a lease of %v", in.Lease))
	}
	return in.Manifest.Validate()
}

func validKey(key string) bool {
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= 255
}

// hashKey is how idempotency keys are stored: agencies may put anything into them.
func (r *Registry) hashKey(key string) []byte {
	m := hmac.New(sha256.New, r.pepper)
	m.Write([]byte(key))
	return m.Sum(nil)
}

func (c *change) beginBatch(ctx context.Context, in Intent, key []byte) (Attempt, error) {
	if err := c.registered(ctx, in); err != nil {
		return Attempt{}, err
	}
	old, found, err := c.findBatch(ctx, `agency = ? AND key = ?`, in.Agency, key)
	if err != nil {
		return Attempt{}, err
	}
	if found {
		if a, done, err := c.repeat(old, in); done || err != nil {
			return a, err
		}
	}
	twin, twinFound, err := c.findBatch(ctx, `agency = ? AND contract = ? AND content = ? AND key <> ?
		AND state IN ('loading', 'committed', 'published') AND (state <> 'loading' OR lease > ?)
		ORDER BY state = 'loading' LIMIT 1`,
		in.Agency, in.Contract, in.Content[:], key, millis(c.now))
	if err != nil {
		return Attempt{}, err
	}
	if twinFound {
		return c.repeatTwin(twin, in)
	}
	if err := c.mayBegin(ctx, in); err != nil {
		return Attempt{}, err
	}
	if found {
		return c.beginAttempt(ctx, in, old)
	}
	id, err := c.r.newID("b")
	if err != nil {
		return Attempt{}, err
	}
	return c.beginAttempt(ctx, in, storedBatch{id: gateway.BatchID(id), key: key})
}

// registered checks that the agency was registered under the contract: what nobody
// registered would be expected from nobody (decisions.md 4).
func (c *change) registered(ctx context.Context, in Intent) error {
	var found bool
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM agency WHERE id = ? AND contract = ?`, in.Agency, in.Contract).Scan(&found)
	if err != nil {
		return internal("reading the agency", err)
	}
	if !found {
		return gateway.Errorf(gateway.NotFound, "the agency is not registered under this contract")
	}
	return nil
}

// repeat answers an intent under a key that was used before, unless a new attempt
// may begin.
func (c *change) repeat(old storedBatch, in Intent) (a Attempt, done bool, err error) {
	a = Attempt{Batch: old.id, State: old.state, Number: old.attempt}
	if old.content != in.Content || old.contract != in.Contract {
		return a, true, gateway.Errorf(gateway.Mismatch, "this Idempotency-Key was used for other content; use a new one")
	}
	switch old.state {
	case gateway.BatchAborted:
		return a, false, nil
	case gateway.BatchWithdrawn:
		return a, true, gateway.Errorf(gateway.Conflict, "batch %s was withdrawn; send it under a new Idempotency-Key", old.id)
	case gateway.BatchLoading, gateway.BatchCommitted, gateway.BatchPublished:
	}
	if old.manifest != in.Manifest {
		return a, true, gateway.Errorf(gateway.Mismatch, "this Idempotency-Key was used with another period, kind, reject, records or previous; use a new one")
	}
	if old.state == gateway.BatchLoading {
		if left := old.lease.Sub(c.now); left > 0 {
			a.RetryAfter = left
			return a, true, gateway.Errorf(gateway.Conflict, "batch %s is being loaded; try again later", old.id)
		}
		return a, false, nil
	}
	a.Receipt, err = c.r.unseal(old)
	return a, true, err
}

// repeatTwin answers an intent whose content is, or is being, accepted under another
// key (decisions.md 5). Another period is not the same batch, and both cannot be true.
func (c *change) repeatTwin(twin storedBatch, in Intent) (Attempt, error) {
	a := Attempt{Batch: twin.id, State: twin.state, Number: twin.attempt}
	switch {
	case twin.state == gateway.BatchLoading:
		a.RetryAfter = twin.lease.Sub(c.now)
		return a, gateway.Errorf(gateway.Conflict, "batch %s with the same content is being loaded; try again later", twin.id)
	case twin.manifest.PeriodFrom != in.Manifest.PeriodFrom || twin.manifest.PeriodTo != in.Manifest.PeriodTo:
		return a, gateway.Errorf(gateway.Conflict, "batch %s has the same content for another period; withdraw it first", twin.id)
	}
	var err error
	a.Receipt, err = c.r.unseal(twin)
	return a, err
}

func (c *change) beginAttempt(ctx context.Context, in Intent, old storedBatch) (Attempt, error) {
	random, err := c.r.random(8)
	if err != nil {
		return Attempt{}, err
	}
	load := gateway.LoadID(binary.BigEndian.Uint64(random))
	a := Attempt{Batch: old.id, Load: load, Number: old.attempt + 1, State: gateway.BatchLoading}
	_, err = c.ExecContext(ctx, `UPDATE load SET ended = coalesce(ended, ?) WHERE batch = ?`, millis(c.now), a.Batch)
	if err != nil {
		return Attempt{}, internal("ending the earlier attempt", err)
	}
	_, err = c.ExecContext(ctx, `INSERT INTO load (id, batch, attempt, lease) VALUES (?, ?, ?, ?)`,
		signed(load), a.Batch, a.Number, millis(c.now.Add(in.Lease)))
	if err != nil {
		return Attempt{}, internal("beginning an attempt", err)
	}
	_, err = c.ExecContext(ctx, `INSERT INTO batch (id, agency, key, contract, version, content, period_from, period_to,
			kind, reject, expected, previous, policy, kcv, actor, state, load, attempt, created, unit)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'loading', ?, ?, ?, (SELECT unit FROM api_key WHERE id = ?))
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, period_from = excluded.period_from,
			period_to = excluded.period_to, kind = excluded.kind, reject = excluded.reject,
			expected = excluded.expected, previous = excluded.previous, policy = excluded.policy,
			kcv = excluded.kcv, actor = excluded.actor, unit = excluded.unit, state = 'loading', load = excluded.load, attempt = excluded.attempt`,
		a.Batch, in.Agency, old.key, in.Contract, in.Version, in.Content[:], in.Manifest.PeriodFrom.String(),
		in.Manifest.PeriodTo.String(), in.Manifest.Kind, in.Manifest.Reject, in.Manifest.Records, in.Manifest.Previous, in.Policy, in.KCV, in.Actor,
		signed(load), a.Number, millis(c.now), in.Actor)
	if err != nil {
		return Attempt{}, internal("beginning an attempt", err)
	}
	_, err = c.log(ctx, ledger.Entry{
		Event: ledger.BatchIntent, Actor: in.Actor, Object: string(a.Batch), Policy: in.Policy, Outcome: ledger.Intended,
		Detail: map[string]any{
			"agency": in.Agency, "contract": in.Contract, "version": in.Version, "attempt": a.Number,
			"load": loadText(load), "period_from": in.Manifest.PeriodFrom.String(), "period_to": in.Manifest.PeriodTo.String(),
			"kind": in.Manifest.Kind, "reject": in.Manifest.Reject, "records": in.Manifest.Records, "previous": in.Manifest.Previous, "kcv": in.KCV,
		},
	})
	return a, err
}

// RenewLease lets an attempt live d longer from now. It reports Conflict when the
// attempt is over: another one took the batch, or it was accepted or aborted.
func (r *Registry) RenewLease(ctx context.Context, load gateway.LoadID, d time.Duration) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		return c.only(ctx, `UPDATE load SET lease = ? WHERE id = ?
			AND id IN (SELECT load FROM batch WHERE state = 'loading')`, millis(c.now.Add(d)), signed(load))
	})
}

// only runs a statement that must change one row, and reports Conflict otherwise:
// this is the compare-and-swap that fences attempts which were overtaken.
func (c *change) only(ctx context.Context, query string, args ...any) error {
	result, err := c.ExecContext(ctx, query, args...)
	if err != nil {
		return internal("changing the registry", err)
	}
	rows, err := result.RowsAffected()
	if err != nil {
		return internal("changing the registry", err)
	}
	if rows != 1 {
		return errFenced()
	}
	return nil
}

func errFenced() error {
	return gateway.Errorf(gateway.Conflict, "this attempt is over: another one took its place, or it was ended")
}

// An Accepted is what is known of a batch when all its rows are stored.
type Accepted struct {
	// Receipt needs its counts, problems, salt and content; the registry fills in
	// what it knows better: ids, manifest, time, leaf, proof and checkpoint.
	Receipt gateway.Receipt
	MAC     uint64 // sum of the rows' chk column, for fsck
	// Compared is the Seq of the newest of the batches beside it ([Registry.Beside])
	// whose records this one's were compared with; 0 where there was none.
	Compared uint64
}

// CommitBatch is T2 of loading.md 3.1, the commit point: it accepts the batch if this
// attempt still is the batch's own, and returns the receipt, which is repeated for
// ever, and the batch's place in the order of commitment. It reports Conflict when the
// attempt is over, or when the same content was accepted meanwhile under another key;
// [ErrCompareAgain] when a batch came beside it that its records were not compared with;
// and Unauthenticated when the key that sent it was revoked meanwhile.
func (r *Registry) CommitBatch(ctx context.Context, batch gateway.BatchID, load gateway.LoadID, acc Accepted) ([]byte, uint64, error) {
	var receipt []byte
	var seq uint64
	err := r.change(ctx, func(ctx context.Context, c *change) (err error) {
		receipt, seq, err = c.commitBatch(ctx, batch, load, acc)
		return err
	})
	return receipt, seq, err
}

func (c *change) commitBatch(ctx context.Context, id gateway.BatchID, load gateway.LoadID, acc Accepted) ([]byte, uint64, error) {
	b, err := standing(ctx, c, id, load)
	if err != nil {
		return nil, 0, err
	}
	if err := c.current(ctx, id); err != nil {
		return nil, 0, err
	}
	if err := c.mayCommit(ctx, b, acc.Compared); err != nil {
		return nil, 0, err
	}
	acc.Receipt.Late, err = c.lateFor(ctx, b.manifest)
	if err != nil {
		return nil, 0, err
	}
	receipt, seq, err := c.makeReceipt(ctx, b, acc.Receipt)
	if err != nil {
		return nil, 0, err
	}
	sealed, err := c.r.opt.Seal(receipt, []byte(id))
	if err != nil {
		return nil, 0, internal("sealing a receipt", err)
	}
	linkage, err := linkageText(acc.Receipt.Report)
	if err != nil {
		return nil, 0, err
	}
	err = c.only(ctx, `UPDATE batch SET state = 'committed', seq = ?, stored = ?, refused = ?, receipt = ?, late = ?, accepted = ?, linkage = ?
		WHERE id = ? AND load = ? AND state = 'loading'`,
		seq, acc.Receipt.Stored, acc.Receipt.Refused, sealed, quartersText(acc.Receipt.Late), millis(c.now), linkage, id, signed(load))
	if err != nil {
		return nil, 0, err
	}
	err = c.only(ctx, `UPDATE load SET rows = ?, mac = ? WHERE id = ?`, acc.Receipt.Stored, signed(acc.MAC), signed(load))
	return receipt, seq, err
}

// linkageText is how a batch's records point to children, as it is stored.
func linkageText(r *gateway.Report) (string, error) {
	if r == nil || r.Linkage == nil {
		return "", nil
	}
	text, err := json.Marshal(r.Linkage)
	if err != nil {
		return "", internal("encoding the linkage of a batch", err)
	}
	return string(text), nil
}

// makeReceipt logs the commit and proves it: the leaf commits to the receipt without
// its evidence, and the evidence is added after.
func (c *change) makeReceipt(ctx context.Context, b storedBatch, rec gateway.Receipt) ([]byte, uint64, error) {
	rec.Batch, rec.Contract, rec.Version, rec.Agency, rec.Policy = b.id, b.contract, b.version, b.agency, b.policy
	rec.PeriodFrom, rec.PeriodTo = b.manifest.PeriodFrom.String(), b.manifest.PeriodTo.String()
	rec.Kind, rec.Reject, rec.Accepted = b.manifest.Kind, b.manifest.Reject, c.now
	rec.Previous, rec.Partial = b.manifest.Previous, gateway.Partial(rec.Stored, rec.Refused)
	if len(rec.Salt) < 16 {
		return nil, 0, internal("making a receipt", fmt.Errorf("a salt of %d bytes", len(rec.Salt)))
	}
	bare, err := json.Marshal(rec)
	if err != nil {
		return nil, 0, internal("encoding a receipt", err)
	}
	detail, err := ledger.ReceiptDetail(bare)
	if err != nil {
		return nil, 0, internal("encoding a receipt", err)
	}
	// The detail is not stored: Detail makes it again from the sealed receipt.
	rec.Index, rec.Leaf, err = c.logCommitted(ctx, ledger.Entry{
		Event: ledger.BatchCommit, Actor: b.actor, Object: string(b.id), Policy: b.policy, Outcome: ledger.Done,
	}, ledger.Commitment(rec.Salt, detail))
	if err != nil {
		return nil, 0, err
	}
	if err := c.sign(ctx); err != nil {
		return nil, 0, err
	}
	proof := ledger.Inclusion{Index: rec.Index, Checkpoint: c.note}
	if proof.Proof, err = ledger.InclusionProof(rec.Index, c.size, c.hashes(ctx)); err != nil {
		return nil, 0, internal("proving a receipt", err)
	}
	rec.Proof = proof.Text()
	receipt, err := json.Marshal(rec)
	if err != nil {
		return nil, 0, internal("encoding a receipt", err)
	}
	return receipt, rec.Index, nil
}

// unseal returns the receipt of a batch that has one, the same bytes as ever.
func (r *Registry) unseal(b storedBatch) ([]byte, error) {
	receipt, err := r.opt.Unseal(b.sealed, []byte(b.id))
	if err != nil {
		return nil, internal("opening the receipt of batch "+string(b.id), err)
	}
	return receipt, nil
}

// newID returns a random id of 80 bits with a prefix that says what it names.
func (r *Registry) newID(prefix string) (string, error) {
	random, err := r.random(10)
	if err != nil {
		return "", err
	}
	return prefix + strings.ToLower(base32.StdEncoding.EncodeToString(random)), nil
}
