package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A recovery puts a keyring in force again whose custodians are gone.
type recovery struct {
	data, copy, identity, officer string
	reason, proposal              string
	signatures                    []string
}

func (c *cli) keysRecoverCommand() *cobra.Command {
	var r recovery
	command := &cobra.Command{
		Use: "recover --copy FILE --identity FILE", Short: "Open the copy for recovery, and seal the keyring for new custodians",
		Long: `When an identity that opens the keyring is lost: open the copy for recovery with the
offline identity, and seal the keyring anew, for a new operator's identity and, with
--officer, a new officer's: give it both times, it is part of what is signed. The gateway
must not be running. Two people sign it here too:

  pana keys recover --copy keyring.recovery.age --identity offline.txt --officer age1… --reason WHY
  ssh-keygen -Y sign -f KEY -n pana-keys STATEMENT        each of the two, in different roles
  pana keys recover --copy … --identity … --officer age1… --proposal ID --signature A.sig --signature B.sig

The old keyring and identity are kept beside the new, with .old at their names' ends. A
copy that does not hold the key in force is refused: it is older than the last rotation.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), c) },
	}
	f := command.Flags()
	f.StringVar(&r.data, "data", "pana-data", "data directory")
	f.StringVar(&r.copy, "copy", "", "the copy for recovery")
	f.StringVar(&r.identity, "identity", "", "the offline identity that opens it")
	f.StringVar(&r.officer, "officer", "", "age recipient of the new officer, age1…")
	f.StringVar(&r.reason, "reason", "", "why, for the record; makes the proposal")
	f.StringVar(&r.proposal, "proposal", "", "the proposal that was signed")
	f.StringArrayVar(&r.signatures, "signature", nil, "a signature of its statement; give two")
	require(command, "copy", "identity")
	return command
}

func (r *recovery) run(ctx context.Context, c *cli) error {
	if _, err := age.ParseX25519Recipient(r.officer); r.officer != "" && err != nil { // before anything is moved
		return usageError{errors.New("--officer is an age recipient: age1…")}
	}
	p := pathsOf(r.data)
	if !exists(p.registry) {
		return gateway.Errorf(gateway.Invalid, "there is no %s", p.registry)
	}
	unlock, err := lock(r.data, "keys recover")
	if err != nil {
		return err
	}
	defer unlock()
	ring, err := openKeyring(r.copy, r.identity)
	if err != nil {
		return err
	}
	reg, err := openRegistry(ctx, p, ring, c)
	if err != nil {
		return err
	}
	defer func() { _ = reg.Close() }()
	active, err := reg.Active(ctx)
	if err != nil {
		return err
	}
	ring, err = ring.At(active.Epoch)
	if err != nil || ring.KCV() != active.KCV {
		return gateway.Errorf(gateway.Conflict, "the copy does not hold the key of epoch %d, which is in force: it is older than the last rotation", active.Epoch)
	}
	if r.proposal == "" {
		return r.propose(ctx, c, reg, active.Epoch)
	}
	err = r.sign(ctx, reg)
	if err != nil {
		return err
	}
	err = reg.AuthoriseRecovery(ctx, "owner", r.proposal, r.officer)
	if err != nil {
		return err
	}
	return r.seal(c, p, ring)
}

// owner is who acts where the gateway does not run: whoever holds the data directory's
// lock and the offline identity.
func owner(role gateway.Role) gateway.Caller {
	return gateway.Caller{Key: "owner", Subject: "owner", Role: role}
}

func (r *recovery) propose(ctx context.Context, c *cli, reg *registry.Registry, epoch int) error {
	made, err := reg.ProposeRecovery(ctx, owner(gateway.RoleOperator), epoch, r.officer, r.reason)
	if err != nil {
		return err
	}
	shown := map[string]string{"proposal": made.ID, "statement": string(made.Statement)}
	return c.print(shown, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "proposal %s\n%s\n", made.ID, made.Statement)
		return err
	})
}

// sign brings the signatures, each in the role of whoever made it.
func (r *recovery) sign(ctx context.Context, reg *registry.Registry) error {
	signers, err := reg.Signers(ctx)
	if err != nil {
		return err
	}
	p, err := reg.Proposal(ctx, r.proposal)
	if err != nil {
		return err
	}
	for _, file := range r.signatures {
		armored, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return usageError{errors.New("the signature cannot be read: " + file)}
		}
		who, err := signers.Verify(approval.Keys, p.Statement, armored, p.Created)
		if err != nil {
			return err
		}
		_, err = reg.Approve(ctx, r.proposal, armored, owner(who.Role), "signed for a recovery without a gateway")
		if err != nil {
			return err
		}
	}
	return nil
}

// seal writes the keyring for new custodians. What was there is kept beside it.
func (r *recovery) seal(c *cli, p paths, ring *pseudonym.Keyring) error {
	for _, path := range []string{p.keyring, p.identity} {
		if !exists(path) {
			continue
		}
		err := os.Rename(path, path+".old")
		if err != nil {
			return fmt.Errorf("keeping %s: %w", path, err)
		}
	}
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("making an identity: %w", err)
	}
	err = writeSecret(p.identity, []byte(fresh.String()+"\n"))
	if err != nil {
		return err
	}
	by := []custodian{{fresh, fresh.Recipient()}}
	if r.officer != "" {
		officer, err := age.ParseX25519Recipient(r.officer)
		if err != nil {
			return usageError{errors.New("--officer is an age recipient: age1…")}
		}
		by = append(by, custodian{recipient: officer})
	}
	err = saver(p.keyring, by)(ring)
	if err != nil {
		return err
	}
	c.say("the keyring is sealed for %d custodians; the operator's identity is %s", len(by), p.identity)
	return nil
}
