package registry

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// maxGroup is the most leaves that share a transaction.
const maxGroup = 256

var errInterrupted = errors.New("the group was not written")

// A waiter is an entry whose caller waits for it to be durable.
type waiter struct {
	entry ledger.Entry
	asked *Asked // of an answer that is ready to leave, or nil
	prove bool   // the caller wants evidence
	done  bool   // owned by whoever holds group.lead, as is what follows
	seq   uint64
	proof ledger.Evidence // where it was asked for
	err   error
}

// Append logs one entry that changes no state of the registry, and returns its
// place once it is durable. Entries that wait at the same time share a transaction.
func (r *Registry) Append(ctx context.Context, e ledger.Entry) (uint64, error) {
	return r.append(ctx, &waiter{entry: e})
}

func (r *Registry) append(ctx context.Context, w *waiter) (uint64, error) {
	e := w.entry
	if err := ctx.Err(); err != nil {
		return 0, internal("logging", err)
	}
	// An entry that cannot be logged must not take the others of its group with it.
	form := ledger.Leaf{
		Time: r.opt.Now(), Event: e.Event, Actor: e.Actor, Object: e.Object,
		Policy: e.Policy, Snapshot: e.Snapshot, Outcome: e.Outcome,
	}
	if _, err := form.Encode(); err != nil {
		return 0, internal("logging "+string(e.Event), err)
	}
	r.group.mu.Lock()
	r.group.waiting = append(r.group.waiting, w)
	r.group.mu.Unlock()

	r.group.lead.Lock()
	defer r.group.lead.Unlock()
	for !w.done {
		r.writeGroup(ctx)
	}
	return w.seq, w.err
}

// writeGroup logs what waits by the time that the write connection is free.
func (r *Registry) writeGroup(ctx context.Context) {
	var taken []*waiter
	withheld := map[*waiter]error{}
	// The leader writes for others too, so its own going away must not fail them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		taken = r.group.take()
		for _, w := range taken {
			entry, why, err := c.judge(ctx, w)
			if err != nil {
				return err
			}
			if why != nil {
				withheld[w] = why
			}
			l, err := c.logDetail(ctx, entry)
			if err != nil {
				return err
			}
			w.seq, w.proof = l.seq, ledger.Evidence{Leaf: l.data, Salt: l.salt, Detail: l.body}
		}
		return c.prove(ctx, taken)
	})
	if err != nil && taken == nil {
		taken = r.group.take()
	}
	for _, w := range taken {
		if w.err = err; err == nil {
			w.err = withheld[w]
		}
	}
}

// prove signs the log with the group's leaves, and proves those whose callers asked.
func (c *change) prove(ctx context.Context, taken []*waiter) error {
	taken = slices.DeleteFunc(slices.Clone(taken), func(w *waiter) bool { return !w.prove })
	if len(taken) == 0 {
		return nil
	}
	// The checkpoint leaves with the answers and is not stored: storing one for each
	// group would write the checkpoint file as often (trust.md 4.1: once a second).
	_, note, err := c.checkpoint(ctx)
	if err != nil {
		return err
	}
	stored := c.remembered(ctx)
	for _, w := range taken {
		path, err := ledger.InclusionProof(w.seq, c.size, stored)
		if err != nil {
			return internal("proving an answer", err)
		}
		w.proof.Proof = ledger.Inclusion{Index: w.seq, Proof: path, Checkpoint: note}.Text()
	}
	return nil
}

// judge returns what is logged of a waiter, and why its answer must not leave. The
// release is read in the transaction that logs the answer: no leaf that allows one is
// later than the leaf of the release's withdrawal or supersession.
func (c *change) judge(ctx context.Context, w *waiter) (ledger.Entry, error, error) {
	if w.asked == nil {
		return w.entry, nil, nil
	}
	state := gateway.ReleaseState("unknown")
	err := c.QueryRowContext(ctx, `SELECT state FROM release WHERE id = ?`, w.asked.Release).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return w.entry, nil, internal("reading the release", err)
	}
	if state == gateway.ReleaseApproved {
		return w.entry, nil, nil
	}
	denied := *w.asked
	denied.Allowed, denied.Response = false, [32]byte{} // nothing left
	return denied.entry(), gateway.Errorf(gateway.Withheld, "release %s is %s; it does not answer", denied.Release, state), nil
}

func (g *group) take() []*waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup)
	taken := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	for _, w := range taken {
		// Until the leader says otherwise, so that nobody waits for one that panicked.
		w.done, w.err = true, internal("logging", errInterrupted)
	}
	return taken
}

// An Asked is a question that was decided, for the ledger.
type Asked struct {
	Caller   gateway.Caller
	Release  gateway.ReleaseID
	Purpose  gateway.Purpose
	Decision string // id of the decision, in hex; "" when policy denied
	Policy   gateway.Revision
	Snapshot uint64 // of the release
	Allowed  bool
	Response [32]byte        // SHA-256 of the answer's bytes; only committed to
	Decided  *ledger.Decided // what policy was asked and said; only committed to
}

// Ask logs a question. The answer may leave when it returns nil, and not a byte of
// it before (trust.md 4.2). The leaf's object is release/purpose/decision. It reports
// Withheld, and logs a denied question, when the release no longer is approved at the
// moment of the leaf.
func (r *Registry) Ask(ctx context.Context, q Asked) error {
	w := &waiter{entry: q.entry()}
	if q.Allowed {
		w.asked = &q
	}
	_, err := r.append(ctx, w)
	return err
}

// Answer is [Registry.Ask] of an answer that leaves with its evidence: that the log
// holds the question, and that the leaf commits to the answer's bytes.
func (r *Registry) Answer(ctx context.Context, q Asked) (ledger.Evidence, error) {
	w := &waiter{entry: q.entry(), prove: true}
	if q.Allowed {
		w.asked = &q
	}
	if _, err := r.append(ctx, w); err != nil {
		return ledger.Evidence{}, err
	}
	return w.proof, nil
}

func (q *Asked) entry() ledger.Entry {
	outcome := ledger.Denied
	if q.Allowed {
		outcome = ledger.Allowed
	}
	return ledger.Entry{
		Event: ledger.Question, Actor: q.Caller.Key, Object: q.object(),
		Policy: q.Policy, Snapshot: q.Snapshot, Outcome: outcome,
		Detail: ledger.AnswerDetail(q.Response, q.Decided),
	}
}

// object names a purpose only when the key's grant does: any other is the caller's
// own text, which the ledger does not take.
func (q *Asked) object() string {
	purpose, decision := "-", "-"
	if slices.Contains(q.Caller.Purposes, q.Purpose) {
		purpose = string(q.Purpose)
	}
	if q.Decision != "" {
		decision = q.Decision
	}
	return string(q.Release) + "/" + purpose + "/" + decision
}

// failureEvery is how often failed authentications are logged (trust.md 4.2).
const failureEvery = time.Minute

// failures counts failed authentications that no leaf counts yet.
type failures struct {
	mu     sync.Mutex
	count  int
	logged time.Time
}

// failed counts a failed authentication; one leaf a minute tells how many there were.
func (r *Registry) failed(ctx context.Context) {
	f, now := &r.failures, r.opt.Now()
	f.mu.Lock()
	f.count++
	due := now.Sub(f.logged) >= failureEvery
	if due {
		f.logged = now
	}
	f.mu.Unlock()
	if due {
		// A leaf that cannot be written leaves the count for the next one; nobody was
		// let in.
		_ = r.logFailures(ctx)
	}
}

func (r *Registry) logFailures(ctx context.Context) error {
	r.failures.mu.Lock()
	count := r.failures.count
	r.failures.count = 0
	r.failures.mu.Unlock()
	if count == 0 {
		return nil
	}
	_, err := r.Append(ctx, ledger.Entry{
		Event: ledger.AuthFailure, Actor: "gateway", Outcome: ledger.Denied, Detail: map[string]int{"count": count},
	})
	if err != nil {
		r.failures.mu.Lock()
		r.failures.count += count
		r.failures.mu.Unlock()
	}
	return err
}

// missing turns sql.ErrNoRows into NotFound.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return gateway.Errorf(gateway.NotFound, format, args...)
	}
	return internal("reading the registry", err)
}
