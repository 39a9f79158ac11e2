package registry

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway/approval"
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

// strangers are two people whom nobody put in the file of signers, and one of their own.
func (c *council) strangers() (*approval.Signers, func(ns approval.Namespace, statement []byte) map[string][]byte) {
	c.tb.Helper()
	text, keys := "", map[string]ssh.Signer{}
	for i, principal := range []string{"officer/mallory", "steward/mallet"} {
		key, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 99)}, ed25519.SeedSize)))
		if err != nil {
			c.tb.Fatal(err)
		}
		keys[principal] = key
		text += principal + ` namespaces="pana-policy,pana-keys,pana-erasure" ` + string(ssh.MarshalAuthorizedKey(key.PublicKey()))
	}
	roster, err := approval.ParseSigners([]byte(text))
	if err != nil {
		c.tb.Fatal(err)
	}
	return roster, func(ns approval.Namespace, statement []byte) map[string][]byte {
		signed := map[string][]byte{}
		for principal, key := range keys {
			armored, err := approval.Sign(nil, ns, statement, key)
			if err != nil {
				c.tb.Fatal(err)
			}
			signed[principal] = armored
		}
		return signed
	}
}

// forge gives a stored proposal the signatures of strangers, under their own file, and a
// state, by writing the file past this program.
func (c *council) forge(p Proposal, state ProposalState) {
	c.tb.Helper()
	ctx := c.tb.Context()
	roster, sign := c.strangers()
	k, err := kindOf(p.Kind)
	if err != nil {
		c.tb.Fatal(err)
	}
	p.Statement, err = statementOf(&p, c.opt.Signer.Name(), roster.Digest()).Encode()
	if err != nil {
		c.tb.Fatal(err)
	}
	_, err = c.write.ExecContext(ctx, `INSERT INTO signers VALUES (?, ?)`, roster.Digest(), roster.Text())
	if err == nil {
		_, err = c.write.ExecContext(ctx, `UPDATE proposal SET statement = ?, state = ? WHERE id = ?`, p.Statement, state, p.ID)
	}
	for principal, armored := range sign(k.namespace, p.Statement) {
		if err == nil {
			role, person, _ := strings.Cut(principal, "/")
			_, err = c.write.ExecContext(ctx, `INSERT INTO approval VALUES (?, ?, ?, ?, 'k', 'r', ?)`, p.ID, role, person, armored, millis(c.clock.now()))
		}
	}
	if err != nil {
		c.tb.Fatal(err)
	}
}

// Whoever writes the file past this program brings signers of their own, and nothing that
// they sign is carried out: no change of keys, no erasure.
func TestStrangersSignNothing(t *testing.T) {
	c := newCouncil(t)
	if err := c.Seal(t.Context(), 1, "k1"); err != nil {
		t.Fatal(err)
	}
	if err := c.AddEpoch(t.Context(), "k-o", 2, "k2"); err != nil {
		t.Fatal(err)
	}
	p, err := c.ProposeKeys(t.Context(), caller("operator/oraz"), RotateKeys, 2, "because")
	if err != nil {
		t.Fatal(err)
	}
	c.forge(p, Approved)
	if rot, err := c.BeginRotation(t.Context(), "k-o", p.ID); !errors.Is(err, ErrEvidence) {
		t.Errorf("a rotation that strangers signed begins: %v, %v", rot, err)
	}

	c = newCouncil(t)
	p, err = c.ProposeErasure(t.Context(), ErasureRequest{Child: []byte("sealed"), Epoch: 1, By: caller("steward/saule"), Reason: ErasureAsked})
	if err != nil {
		t.Fatal(err)
	}
	c.forge(p, Active)
	if _, err := c.write.ExecContext(t.Context(), `INSERT INTO erasure (proposal, seq) SELECT ?, max(seq) FROM leaf`, p.ID); err != nil {
		t.Fatal(err)
	}
	if due, err := c.Erasures(t.Context()); !errors.Is(err, ErrEvidence) {
		t.Errorf("an erasure that strangers signed is carried out: %d, %v", len(due), err)
	}
}
