package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
)

// A founding is what puts the first policy of an installation in force.
type founding struct {
	data, signers, policies, statement string
	signatures, keys                   []string
	demonstration                      bool
}

// founded is what --json prints.
type founded struct {
	Revision  gateway.Revision `json:"revision"`
	Signers   string           `json:"signers"` // SHA-256 of the file
	InForce   bool             `json:"in_force"`
	Statement string           `json:"statement,omitempty"` // file
}

func (c *cli) policyFoundCommand() *cobra.Command {
	var f founding
	command := &cobra.Command{
		Use:   "found --data DIR --signers FILE",
		Short: "Put the first policies of an installation in force, signed by two people",
		Long: `Put the policies that are built in, or those of a folder, in force as the first of an
installation, and with them the file of who may sign the next: an allowed_signers file
of OpenSSH, whose principals are officer/…, steward/… (the owner of the data) and
operator/…. Two people with two roles sign, one of them an officer. Without signatures
the statement that they sign is written, and how; the gateway does not start before.`,
		Example: `  pana policy found --data pana-data --signers allowed_signers
  ssh-keygen -Y sign -n pana-policy -f ~/.ssh/id_ed25519 founding.json     # each of the two; keep both files
  pana policy found --data pana-data --signers allowed_signers --signature officer.sig --signature steward.sig
  pana policy found --data pana-data --demonstration                       # throw-away keys, for trials only`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (f.signers == "") == !f.demonstration {
				return usageError{errors.New("name the file of signers with --signers")}
			}
			made, err := c.found(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.print(made, func(w io.Writer) error { return writeFounded(w, f, made) })
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.data, "data", "pana-data", "data directory")
	flags.StringVar(&f.signers, "signers", "", "allowed_signers file")
	flags.StringVar(&f.policies, "policies", "", "folder of policies; default: those built in")
	flags.StringVar(&f.statement, "statement", "founding.json", "file to write what is signed to")
	flags.StringArrayVar(&f.signatures, "signature", nil, "file with a signature; twice")
	flags.StringArrayVar(&f.keys, "key", nil, "sign with this key; twice")
	flags.BoolVar(&f.demonstration, "demonstration", false, "make throw-away keys in DIR/signers and sign with them; for trials only")
	return command
}

func writeFounded(w io.Writer, f founding, made founded) error {
	if made.InForce {
		_, err := fmt.Fprintf(w, "policy revision %s is in force, and who may sign the next is on file\n", made.Revision)
		return err
	}
	_, err := fmt.Fprintf(w, `policy revision %s is not in force yet: two of the signers, with two roles, sign %s
  %s
  pana policy found --data %s --signers %s --signature ONE.sig --signature OTHER.sig
`, made.Revision, made.Statement, signCommand(approval.Policy, made.Statement), f.data, f.signers)
	return err
}

// found puts the first policy in force, or writes what is to be signed.
func (c *cli) found(ctx context.Context, f founding) (founded, error) {
	paths := pathsOf(f.data)
	if !exists(paths.registry) {
		return founded{}, gateway.Errorf(gateway.Invalid, "there is no %s; make it with: pana keys init", paths.registry)
	}
	unlock, err := lock(f.data, "policy found")
	if err != nil {
		return founded{}, err
	}
	defer unlock()
	keys, err := openKeyring(paths.keyring, paths.identity)
	if err != nil {
		return founded{}, err
	}
	reg, err := openRegistry(ctx, paths, keys, c)
	if err != nil {
		return founded{}, err
	}
	defer func() { _ = reg.Close() }()
	if f.demonstration {
		f.signers, err = throwAwaySigners(filepath.Join(f.data, "signers"))
		if err != nil {
			return founded{}, err
		}
		f.keys = []string{filepath.Join(f.data, "signers", "officer"), filepath.Join(f.data, "signers", "steward")}
	}
	return c.foundIn(ctx, f, reg, keys.Origin())
}

func (c *cli) foundIn(ctx context.Context, f founding, reg *registry.Registry, installation string) (founded, error) {
	first, err := c.prepareFounding(ctx, f)
	if err != nil {
		return founded{}, err
	}
	made := founded{Revision: first.Revision, Signers: first.Signers.Digest()}
	statement, err := first.Statement(installation)
	if err != nil {
		return made, err
	}
	signatures, err := c.signatures(ctx, f, statement)
	if err != nil {
		return made, err
	}
	if len(signatures) > 0 {
		made.InForce = true
		return made, reg.Found(ctx, first, "install", signatures...)
	}
	made.Statement = f.statement
	var effects exchange.Effects
	err = json.Unmarshal(first.Effects, &effects)
	if err != nil {
		return made, fmt.Errorf("reading the effects: %w", err)
	}
	if !c.asJSON {
		err = writeEffects(c.out, effects)
	}
	if err == nil {
		err = os.WriteFile(f.statement, statement, 0o600)
	}
	return made, err
}

func (c *cli) prepareFounding(ctx context.Context, f founding) (registry.Founding, error) {
	text, err := os.ReadFile(f.signers)
	if err != nil {
		return registry.Founding{}, usageError{errors.New("the file of signers cannot be read: " + f.signers)}
	}
	signers, err := approval.ParseSigners(text)
	if err == nil {
		err = registry.Enough(signers, c.now())
	}
	if err != nil {
		return registry.Founding{}, err
	}
	set, err := policySet(ctx, f.policies)
	if err != nil {
		return registry.Founding{}, asRefusal(err)
	}
	contracts, err := configs.Contracts()
	if err != nil {
		return registry.Founding{}, err
	}
	definitions, err := configs.Definitions()
	if err != nil {
		return registry.Founding{}, err
	}
	return exchange.Founding(ctx, set, signers, contracts, definitions)
}

// signatures are those in files, and those that keys make here.
func (c *cli) signatures(ctx context.Context, f founding, statement []byte) ([][]byte, error) {
	var all [][]byte
	for _, file := range f.signatures {
		armored, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, usageError{errors.New("the signature cannot be read: " + file)}
		}
		all = append(all, armored)
	}
	for _, key := range f.keys {
		armored, err := c.signWith(ctx, key, approval.Policy, statement)
		if err != nil {
			return nil, err
		}
		all = append(all, armored)
	}
	return all, nil
}
