// Package witness has the ledger's checkpoints signed by witnesses: parties that keep
// the last size and root they saw of a log, and sign only what continues it (C2SP
// tlog-witness). With one outside the operator's reach, nobody can put back an old
// registry or show two histories (trust.md 4.1, 6.1).
//
// Make a [Witnesses] with [New] and a policy that names them; call [Witnesses.Begin]
// before the gateway does anything, which refuses to start on another history than the
// witnesses know, and [Witnesses.Run] in a goroutine of its own. [Witnesses.Missing]
// says why uploads and releases stop: at once when a witness knows another history,
// and when too few have signed for the configured time. Questions go on (decisions.md
// 21).
//
// What witnesses signed is stored in the registry. The package sends checkpoints and
// consistency proofs, which hold no data, and nothing else; it asks nobody that the
// policy does not name, and follows no redirection.
package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
)

// Options say whom to ask, and how often. The first five are required.
type Options struct {
	Registry  *registry.Registry
	Key       note.Verifier  // of the ledger
	Policy    *ledger.Policy // its witnesses with a URL are asked
	Now       func() time.Time
	Log       *slog.Logger
	Every     time.Duration     // between two rounds; default 1 min
	StopAfter time.Duration     // without enough of them; default 4 h (trust.md 4.1)
	Timeout   time.Duration     // of one request; default 10 s
	Transport http.RoundTripper // default: of the standard library, without a proxy
}

// maxWitnesses bounds how many are asked at once.
const maxWitnesses = 32

// Witnesses are those of one ledger. It is safe for concurrent use.
type Witnesses struct {
	Options
	client *http.Client

	round sync.Mutex // held during a round: one at a time

	mu     sync.Mutex // guards what follows; never held while waiting
	met    time.Time  // when enough had signed last; zero: never
	forked error      // sticks until the gateway is started again
	silent bool       // the last round had too few
}

// New returns the witnesses of a policy.
func New(ctx context.Context, o Options) (*Witnesses, error) {
	switch {
	case o.Registry == nil || o.Key == nil || o.Policy == nil || o.Now == nil || o.Log == nil:
		return nil, errors.New("witness: Registry, Key, Policy, Now and Log are required")
	case o.Every < 0 || o.StopAfter < 0 || o.Timeout < 0:
		return nil, errors.New("witness: Every, StopAfter and Timeout are not negative")
	}
	asked := 0
	for _, w := range o.Policy.Witnesses {
		if w.URL != "" {
			asked++
		}
	}
	if asked == 0 || asked > maxWitnesses {
		return nil, gateway.Errorf(gateway.Invalid, "the witness policy names from 1 to %d witnesses with their URLs", maxWitnesses)
	}
	if o.Policy.Met(nil) {
		return nil, gateway.Errorf(gateway.Invalid, "the witness policy has a quorum of nobody; name a witness or a group")
	}
	if logs := o.Policy.Logs; len(logs) > 0 && !o.Policy.Knows(o.Key) {
		return nil, gateway.Errorf(gateway.Invalid, "the witness policy names logs, and not this one")
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.StopAfter == 0 {
		o.StopAfter = 4 * time.Hour
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	last, err := o.Registry.Witnessed(ctx)
	if err != nil {
		return nil, err
	}
	return &Witnesses{Options: o, client: newClient(o), met: last.At}, nil
}

func newClient(o Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			MaxIdleConnsPerHost: 1, MaxConnsPerHost: 2, IdleConnTimeout: 2 * o.Every, TLSHandshakeTimeout: o.Timeout,
			MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true,
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Begin has the checkpoint of this moment signed, before the gateway serves anybody. A
// registry that is older than what a witness signed, or another history, is
// [ErrFork], and the gateway must not start. A witness that cannot be reached is an
// alarm only: how long it may be so is counted from what is stored.
func (w *Witnesses) Begin(ctx context.Context) error {
	err := w.Round(ctx)
	if errors.Is(err, ErrFork) {
		return err
	}
	return nil
}

// Run asks the witnesses again and again, until ctx ends.
func (w *Witnesses) Run(ctx context.Context) {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = w.Round(ctx) // it is logged, and Missing says it
	}
}

// errTooFew means that the round did not meet the policy.
var errTooFew = errors.New("witness: too few witnesses signed")

// An outcome is what one witness answered.
type outcome struct {
	witness ledger.Witness
	signed  []ledger.Cosignature
	err     error
}

// Round has the checkpoint of this moment signed by all witnesses, at the same time,
// and stores what they signed.
func (w *Witnesses) Round(ctx context.Context) error {
	w.round.Lock()
	defer w.round.Unlock()
	checkpoint, outcomes, err := w.ask(ctx)
	if err != nil {
		return w.fell(ctx, err)
	}
	var signed []ledger.Cosignature
	var fork error
	for _, o := range outcomes {
		signed = append(signed, o.signed...)
		if errors.Is(o.err, ErrFork) {
			fork = fmt.Errorf("%s: %w", o.witness.Name, o.err)
		} else if o.err != nil && ctx.Err() == nil {
			w.Log.LogAttrs(ctx, slog.LevelWarn, "witness", slog.String("name", o.witness.Name), slog.String("error", o.err.Error()))
		}
	}
	if fork != nil {
		return w.fork(ctx, fork)
	}
	enough := w.Policy.Met(signed)
	if len(signed) > 0 {
		if err := w.Registry.Cosign(ctx, checkpoint, signed, enough); err != nil {
			return w.fell(ctx, err)
		}
	}
	if !enough {
		return w.fell(ctx, errTooFew)
	}
	w.rose(ctx)
	return nil
}

func (w *Witnesses) ask(ctx context.Context) (string, []outcome, error) {
	checkpoint, err := w.Registry.Checkpoint(ctx)
	if err != nil {
		return "", nil, err
	}
	tree, err := ledger.OpenCheckpoint(checkpoint, w.Key)
	if err != nil {
		return "", nil, err
	}
	stored, err := w.Registry.Cosigned(ctx)
	if err != nil {
		return "", nil, err
	}
	var asking sync.WaitGroup
	outcomes := make([]outcome, len(w.Policy.Witnesses))
	for i, to := range w.Policy.Witnesses {
		outcomes[i].witness = to
		if to.URL == "" {
			continue
		}
		last := uint64(0)
		for _, s := range stored {
			if s.Witness == to.Key.Name() && s.Key == to.Key.KeyHash() {
				last = s.Size
			}
		}
		asking.Go(func() {
			outcomes[i].signed, outcomes[i].err = w.submit(ctx, to, checkpoint, uint64(tree.N), last) //nolint:gosec // sizes are not negative
		})
	}
	asking.Wait()
	return checkpoint, outcomes, nil
}

// fell notes that a round failed; the first one after a good one is the alarm.
func (w *Witnesses) fell(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		return why
	}
	w.mu.Lock()
	first := !w.silent
	w.silent = true
	met := w.met
	w.mu.Unlock()
	level := slog.LevelWarn
	if first {
		level = slog.LevelError
		w.record(ctx, ledger.WitnessSilent, ledger.Failed)
	}
	w.Log.LogAttrs(ctx, level, "the ledger is not witnessed", slog.Time("since", met), slog.String("error", why.Error()))
	return why
}

func (w *Witnesses) rose(ctx context.Context) {
	w.mu.Lock()
	back := w.silent
	w.silent, w.met = false, w.Now()
	w.mu.Unlock()
	if back {
		w.Log.LogAttrs(ctx, slog.LevelInfo, "the ledger is witnessed again")
		w.record(ctx, ledger.WitnessBack, ledger.Done)
	}
}

// fork stops at once and for good: only a start looks again.
func (w *Witnesses) fork(ctx context.Context, why error) error {
	w.mu.Lock()
	first := w.forked == nil
	w.forked = why
	w.mu.Unlock()
	w.Log.LogAttrs(ctx, slog.LevelError, "the ledger is forked", slog.String("error", why.Error()))
	if first {
		w.record(ctx, ledger.WitnessFork, ledger.Failed)
	}
	return why
}

// record logs what became of the witnesses. It is not needed for anything to stop.
func (w *Witnesses) record(ctx context.Context, event ledger.Event, how ledger.Outcome) {
	_, err := w.Registry.Append(ctx, ledger.Entry{Event: event, Actor: "gateway", Outcome: how})
	if err != nil {
		w.Log.LogAttrs(ctx, slog.LevelError, "a leaf about the witnesses was not written")
	}
}

// Missing is nil while the witnesses vouch for the ledger, and otherwise why what needs
// their evidence stops. A ledger that was never signed has none.
func (w *Witnesses) Missing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forked != nil {
		return &gateway.Error{
			Kind: gateway.Unwitnessed, Detail: "a witness has seen another history of the ledger; nothing was done. The data protection officer has to look at it",
			Err: w.forked,
		}
	}
	if w.met.IsZero() {
		return gateway.Errorf(gateway.Unwitnessed, "no witness has signed the ledger yet; nothing was done, try again later")
	}
	// A clock that was set back must not give time.
	if age := w.Now().Sub(w.met).Abs(); age > w.StopAfter {
		return gateway.Errorf(gateway.Unwitnessed, "too few witnesses have signed the ledger for more than %s; nothing was done, try again later", w.StopAfter)
	}
	return nil
}
