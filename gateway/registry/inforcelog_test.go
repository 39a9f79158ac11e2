package registry

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// rollback is a council whose second policy is in force, behind more leaves than a start
// checks, the last of which is one that every start of a gateway logs.
func rollback(t *testing.T) (c *council, first, second enforced) {
	t.Helper()
	c = newCouncil(t)
	p := c.propose(c.first, revision(2))
	for _, who := range []string{"officer/aigul", "steward/saule"} {
		if _, err := c.approve(p, who); err != nil {
			t.Fatal(err)
		}
	}
	err := c.change(t.Context(), func(ctx context.Context, ch *change) error {
		for range startLeaves + 10 {
			if _, err := ch.log(ctx, ledger.Entry{Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done}); err != nil {
				return err
			}
		}
		_, err := ch.log(ctx, ledger.Entry{Event: ledger.PolicyInForce, Actor: "gateway", Policy: revision(2), Outcome: ledger.Done})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := query(t.Context(), c.read, scanEnforced, `SELECT number, digest, proposal, seq FROM inforce WHERE kind = 'policy' ORDER BY number`)
	if err != nil || len(all) != 2 || c.inForce() != revision(2) {
		t.Fatal(err, all)
	}
	return c, all[0], all[1]
}

func (c *council) leaf(seq uint64) (data []byte) {
	c.tb.Helper()
	if err := c.read.QueryRowContext(c.tb.Context(), `SELECT data FROM leaf WHERE seq = ?`, signed(seq)).Scan(&data); err != nil {
		c.tb.Fatal(err)
	}
	return data
}

// trust.md 6.4, B77: whoever writes the file past this program, its leaves too, brings no
// older policy back, neither while the gateway runs nor over a restart.
func TestRewrittenLeavesBringNoPolicyBack(t *testing.T) {
	attacks := map[string]func(t *testing.T, c *council, first, second enforced) error{
		"the newest activation becomes something else": func(t *testing.T, c *council, _, second enforced) error {
			t.Helper()
			edited := bytes.Replace(c.leaf(second.seq), []byte(ledger.PolicyActivate), []byte(ledger.PolicyInForce), 1)
			_, err := c.write.ExecContext(t.Context(), `DROP TRIGGER leaf_update; UPDATE leaf SET data = ?1 WHERE seq = ?2; DELETE FROM inforce WHERE proposal = ?3`,
				edited, signed(second.seq), second.proposal)
			return err
		},
		"something else becomes an activation": func(t *testing.T, c *council, first, second enforced) error {
			t.Helper()
			l, err := ledger.DecodeLeaf(c.leaf(first.seq))
			if err != nil {
				return err
			}
			l.Seq = second.seq + 1
			forged, err := l.Encode()
			if err != nil {
				return err
			}
			_, err = c.write.ExecContext(t.Context(), `DROP TRIGGER leaf_update; UPDATE leaf SET data = ?1 WHERE seq = ?2;
				INSERT INTO detail SELECT ?2, salt, body FROM detail WHERE seq = ?3;
				INSERT INTO inforce SELECT kind, 3, digest, proposal, ?2 FROM inforce WHERE kind = 'policy' AND number = 1`, forged, signed(l.Seq), signed(first.seq))
			return err
		},
	}
	for name, attack := range attacks {
		for when, restart := range map[string]bool{"while it runs": false, "over a restart": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				c, first, second := rollback(t)
				if err := attack(t, c, first, second); err != nil {
					t.Fatal(err)
				}
				if restart {
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					c.Registry = mustOpen(t, c.opt)
				}
				got, err := c.PolicyInForce(t.Context())
				if !errors.Is(err, ErrEvidence) || got.Content != nil {
					t.Errorf("loads %.8s…: %v", got.Revision, err)
				}
			})
		}
	}
}
