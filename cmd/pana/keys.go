package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

func (c *cli) keysCommand() *cobra.Command {
	command := &cobra.Command{Use: "keys", Short: "Make, look at, rotate and destroy the keys of pseudonyms (operators)", Long: keysHelp}
	command.AddCommand(c.keysInitCommand(), c.keysShowCommand(), c.keysOperatorCommand(), c.keysEpochCommand(), c.keysProposeCommand(),
		c.keysRotateCommand(), c.keysDestroyCommand(), c.keysRecoverCommand())
	return command
}

func (c *cli) keysInitCommand() *cobra.Command {
	var data, installation, identity string
	var seal sealing
	command := &cobra.Command{
		Use:   "init --data DIR --installation NAME",
		Short: "Make a data directory with a new keyring, and print the first operator's key once",
		Long: `Make DIR (0700) with a keyring sealed by age to a new identity beside it (0600), and
a registry with one API key: the first operator's, printed once. Keep a copy of the
identity apart from the data: without it the pseudonyms can never be linked again.
With --officer the keyring is sealed twice, for the operator and then for the officer,
who made an identity with age-keygen and gave its recipient: neither opens it alone, and
pana serve needs both files. With --recovery a copy is sealed for an identity that lies
in a safe, offline; carry keyring.recovery.age away too, and again after every change.
When it was stopped half-way, run it again (with --officer-identity when it was sealed
twice): what is there is kept, what is missing made.`,
		Example: "  pana keys init --data pana-data --installation ministry --officer age1… --recovery age1…",
		RunE: func(cmd *cobra.Command, _ []string) error {
			made, err := initKeys(cmd.Context(), data, installation, identity, seal, c)
			if err != nil {
				return err
			}
			return c.print(made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "data directory   %s\nledger key       %s\noperator's key   %s\n\nThe key is shown this once. Give the ledger key to the data protection officer.\n",
					made.Data, made.LedgerKey, made.OperatorKey)
				return err
			})
		},
	}
	command.Flags().StringVar(&data, "data", "pana-data", "directory to make")
	command.Flags().StringVar(&seal.officer, "officer", "", "age recipient of the officer, age1…")
	command.Flags().StringVar(&seal.recovery, "recovery", "", "age recipient of the copy for recovery, age1…")
	command.Flags().StringVar(&seal.server, "keyserver-key", "", "public key of the key server that makes the inner layer of pids, for ever (pana keyserver init)")
	command.Flags().StringVar(&identity, "officer-identity", "", "the officer's identity file, to go on with an init that was stopped")
	command.Flags().StringVar(&installation, "installation", "", "name of this installation: lower-case letters, digits, dots, hyphens")
	require(command, "installation")
	return command
}

// initialised is what keys init made.
type initialised struct {
	Data        string `json:"data"`
	LedgerKey   string `json:"ledger_key"`
	OperatorKey string `json:"operator_key"`
}

func initKeys(ctx context.Context, data, installation, officer string, seal sealing, c *cli) (initialised, error) {
	paths := pathsOf(data)
	err := os.MkdirAll(data, 0o700)
	if err != nil {
		return initialised{}, usageError{errors.New("the data directory cannot be made: " + data)}
	}
	info, err := os.Stat(data)
	if err != nil {
		return initialised{}, fmt.Errorf("looking at the data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return initialised{}, gateway.Errorf(gateway.Invalid, "%s is open to others; close it: chmod 700 %s", data, data)
	}
	unlock, err := lock(data, "keys init")
	if err != nil {
		return initialised{}, err
	}
	defer unlock()
	keys, err := initKeyring(paths, installation, officer, seal)
	if err != nil {
		return initialised{}, err
	}
	reg, err := openRegistry(ctx, paths, keys, c)
	if err != nil {
		return initialised{}, err
	}
	defer func() { _ = reg.Close() }()
	granted, err := anyGrant(ctx, reg)
	if err != nil {
		return initialised{}, err
	}
	if granted {
		return initialised{}, gateway.Errorf(gateway.Conflict,
			"%s is there already: keys are made once; a new operator's key: pana keys operator --data %s", paths.keyring, data)
	}
	err = reg.Seal(ctx, keys.Epoch(), keys.KCV())
	if err != nil {
		return initialised{}, err
	}
	key, err := grantOperator(ctx, reg, "install")
	if err != nil {
		return initialised{}, err
	}
	return initialised{data, keys.VerifierKey(), key}, nil
}

// initKeyring makes identity and keyring, in this order, or takes those that an init
// which was stopped has left. A keyring without its identity, or a registry without
// its keyring, is no such leaving: something was lost.
func initKeyring(p paths, installation, officer string, seal sealing) (*pseudonym.Keyring, error) {
	identity, keyring := exists(p.identity), exists(p.keyring)
	switch {
	case keyring && !identity:
		return nil, gateway.Errorf(gateway.Conflict, "%s is there already: keys are made once; put its identity back beside it", p.keyring)
	case !keyring && exists(p.registry):
		return nil, gateway.Errorf(gateway.Conflict, "%s is there already, but not its keyring; put that back", p.registry)
	case !keyring:
		return writeKeyring(p, installation, seal)
	}
	keys, err := openKeyring(p.keyring, p.identity, officer)
	if err == nil && keys.Installation() != installation {
		err = gateway.Errorf(gateway.Conflict, "%s is there already, of installation %s", p.keyring, keys.Installation())
	}
	return keys, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// anyGrant tells whether a key was ever granted: the last step of an init.
func anyGrant(ctx context.Context, reg *registry.Registry) (bool, error) {
	for leaf, err := range reg.Leaves(ctx, 0) {
		if err != nil {
			return false, err
		}
		if leaf.Event == ledger.AccessGrant {
			return true, nil
		}
	}
	return false, nil
}

func grantOperator(ctx context.Context, reg *registry.Registry, actor string) (string, error) {
	key, _, err := reg.AddKey(ctx, actor, registry.KeySpec{Subject: "operator", Org: "operator", Role: gateway.RoleOperator})
	return key, err
}

func (c *cli) keysOperatorCommand() *cobra.Command {
	var data, officer string
	command := &cobra.Command{
		Use:   "operator --data DIR",
		Short: "Make a new operator's key when the others are lost or expired, and print it once",
		Long: `Make a new operator's key, logged as granted by the owner of the data directory, and
print it once. The gateway must not be running. End lost keys with: pana access revoke.`,
		Example: "  pana keys operator --data pana-data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := ownerKey(cmd.Context(), data, officer, c)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"operator_key": key}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "operator's key   %s\n\nThe key is shown this once.\n", key)
				return err
			})
		},
	}
	command.Flags().StringVar(&officer, "officer-identity", "", "the officer's identity file, where the keyring is sealed twice")
	command.Flags().StringVar(&data, "data", "pana-data", "data directory")
	return command
}

// ownerKey grants an operator's key to whoever owns the data directory: what the lock
// and the identity beside the keyring show.
func ownerKey(ctx context.Context, data, officer string, c *cli) (string, error) {
	paths := pathsOf(data)
	if !exists(paths.registry) {
		return "", gateway.Errorf(gateway.Invalid, "there is no %s; make it with: pana keys init", paths.registry)
	}
	unlock, err := lock(data, "keys operator")
	if err != nil {
		return "", err
	}
	defer unlock()
	keys, err := openKeyring(paths.keyring, paths.identity, officer)
	if err != nil {
		return "", err
	}
	reg, err := openRegistry(ctx, paths, keys, c)
	if err != nil {
		return "", err
	}
	defer func() { _ = reg.Close() }()
	return grantOperator(ctx, reg, "owner")
}

// writeKeyring makes a keyring, and the identity that opens it unless it is there. It
// is sealed for the operator, then for the officer where one is named.
func writeKeyring(p paths, installation string, seal sealing) (*pseudonym.Keyring, error) {
	opened, err := pseudonym.Generate(rand.Reader, installation)
	if err != nil {
		return nil, usageError{err}
	}
	ring, err := pseudonym.Parse(opened)
	if err == nil && seal.recovery != "" {
		ring, err = ring.WithRecovery(seal.recovery)
	}
	if err == nil && seal.server != "" {
		_, err = blind.ParsePublicKey(seal.server)
		if err == nil {
			ring, err = ring.WithKeyServer(seal.server)
		}
	}
	if err != nil {
		return nil, usageError{err}
	}
	if !exists(p.identity) {
		fresh, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, fmt.Errorf("making an identity: %w", err)
		}
		err = writeSecret(p.identity, []byte(fresh.String()+"\n"))
		if err != nil {
			return nil, err
		}
	}
	by, err := custodians(p.identity)
	if err != nil {
		return nil, err
	}
	if seal.officer != "" {
		officer, err := age.ParseX25519Recipient(seal.officer)
		if err != nil {
			return nil, usageError{errors.New("--officer is an age recipient: age1…")}
		}
		by = append(by, custodian{recipient: officer})
	}
	return ring, saver(p.keyring, by)(ring)
}

// A sealing is for whom a new keyring is sealed beside the operator: age recipients.
type sealing struct{ officer, recovery, server string }

// writeSecret writes a file whole or not at all, however it is stopped. The caller has
// the directory's lock and knows that the file is not there.
func writeSecret(path string, content []byte) error {
	half := path + ".new" // of a run that was stopped, or of this one
	f, err := os.OpenFile(filepath.Clean(half), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeNew writes a secret file that must not be there yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
