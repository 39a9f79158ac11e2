package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/keyserver"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

// keyServerPaths are the files of a key server's directory.
type keyServerPaths struct{ dir, key, identity, agencies, counts string }

func keyServerPathsOf(dir string) keyServerPaths {
	in := func(name string) string { return filepath.Join(dir, name) }
	return keyServerPaths{dir, in("key.age"), in("identity.txt"), in("agencies.json"), in("counts")}
}

func (c *cli) keyserverCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "keyserver",
		Short: "Run a key server, for uploads whose identifiers the gateway never sees",
		Long: `Run the key server of blind uploads. Agencies ask it for the pseudonyms of their
children; it sees random numbers and how many, the gateway sees pseudonyms only.

It belongs on another machine than the gateway's, and to another owner. One that the
gateway's operator runs is not blind in substance: whoever holds its key can try all
identification numbers. Keep a copy of key.age and identity.txt apart: without them
no new record can ever be linked with the old ones.`,
		Example: `  pana keyserver init --dir keyserver
  pana keyserver grant --dir keyserver --agency police-almaty --quota 50000
  pana keyserver serve --dir keyserver --listen :8443 --certificate tls.crt --private-key tls.key`,
	}
	var dir string
	command.PersistentFlags().StringVar(&dir, "dir", "pana-keyserver", "directory of the key server")
	command.AddCommand(c.keyserverInit(&dir), c.keyserverGrant(&dir), c.keyserverRevoke(&dir), c.keyserverServe(&dir))
	return command
}

func (c *cli) keyserverInit(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the directory and the key, and print the public key that all who ask must pin",
		RunE: func(*cobra.Command, []string) error {
			public, err := initKeyServer(keyServerPathsOf(*dir))
			if err != nil {
				return err
			}
			return c.print(map[string]string{"public_key": public}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "public key  %s\n", public)
				return err
			})
		},
	}
}

func initKeyServer(p keyServerPaths) (public string, err error) {
	if err = os.MkdirAll(p.dir, 0o700); err != nil {
		return "", usageError{errors.New("the directory cannot be made: " + p.dir)}
	}
	unlock, err := lock(p.dir, "keyserver init")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(p.key) || exists(p.identity) {
		return "", gateway.Errorf(gateway.Conflict, "%s has a key already: it is made once", p.dir)
	}
	key, err := blind.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making an identity: %w", err)
	}
	var sealed bytes.Buffer
	err = key.Seal(&sealed, identity.Recipient())
	if err != nil {
		return "", err
	}
	err = writeSecret(p.identity, []byte(identity.String()+"\n"))
	if err == nil {
		err = writeSecret(p.key, sealed.Bytes())
	}
	if err == nil {
		err = writeAgencies(p, nil)
	}
	return key.PublicKey().String(), err
}

func (c *cli) keyserverGrant(dir *string) *cobra.Command {
	var a keyserver.Agency
	command := &cobra.Command{
		Use:   "grant --agency NAME --quota N",
		Short: "Let an agency, or the gateway, ask, and print its token once; start the server again afterwards",
		Long: `Let an agency ask for so many identifiers a day, and print its token once. What it
had before is replaced. The quota is what hinders an agency from trying all numbers
there are: give it what it needs on its busiest day, and not ten times more.`,
		RunE: func(*cobra.Command, []string) error {
			token := "panaks_" + rand.Text()
			a.Digest = keyserver.Digest(token)
			if a.Quota < 1 || len(a.ID) > 64 || a.ID == "" {
				return usageError{errors.New("an agency has a name of at most 64 characters, and a quota of 1 or more")}
			}
			err := changeAgencies(keyServerPathsOf(*dir), a.ID, &a)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"token": token}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "token  %s\n\nThe token is shown this once.\n", token)
				return err
			})
		},
	}
	command.Flags().StringVar((*string)(&a.ID), "agency", "", "name: lower-case letters, digits, dots, hyphens")
	command.Flags().IntVar(&a.Quota, "quota", 0, "identifiers a day")
	require(command, "agency", "quota")
	return command
}

func (c *cli) keyserverRevoke(dir *string) *cobra.Command {
	var agency string
	command := &cobra.Command{
		Use: "revoke --agency NAME", Short: "Let an agency ask no more; start the server again afterwards",
		RunE: func(*cobra.Command, []string) error {
			return changeAgencies(keyServerPathsOf(*dir), gateway.AgencyID(agency), nil)
		},
	}
	command.Flags().StringVar(&agency, "agency", "", "its name")
	require(command, "agency")
	return command
}

// changeAgencies replaces the entry of an agency, or takes it out.
func changeAgencies(p keyServerPaths, id gateway.AgencyID, with *keyserver.Agency) error {
	list, err := readAgencies(p)
	if err != nil {
		return err
	}
	before := len(list)
	list = slices.DeleteFunc(list, func(a keyserver.Agency) bool { return a.ID == id })
	switch {
	case with != nil:
		list = append(list, *with)
	case len(list) == before:
		return gateway.Errorf(gateway.NotFound, "there is no such agency")
	}
	return writeAgencies(p, list)
}

func readAgencies(p keyServerPaths) (list []keyserver.Agency, err error) {
	content, err := os.ReadFile(p.agencies)
	if err != nil {
		return nil, usageError{errors.New("there is no key server in " + p.dir + "; make it with: pana keyserver init")}
	}
	if json.Unmarshal(content, &list) != nil {
		return nil, gateway.Errorf(gateway.Invalid, "%s is not what pana keyserver grant wrote", p.agencies)
	}
	return list, nil
}

func writeAgencies(p keyServerPaths, list []keyserver.Agency) error {
	content, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the agencies: %w", err)
	}
	return writeSecret(p.agencies, append(content, '\n'))
}

// A keyServing is how a key server listens.
type keyServing struct{ listen, certificate, key string }

func (c *cli) keyserverServe(dir *string) *cobra.Command {
	var s keyServing
	command := &cobra.Command{
		Use: "serve", Short: "Answer until it is ended; the log is JSON on standard error",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.serveKeys(cmd.Context(), keyServerPathsOf(*dir), s)
		},
	}
	f := command.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:8443", "address; one beyond this machine needs a certificate")
	f.StringVar(&s.certificate, "certificate", "", "PEM file of the TLS certificate")
	f.StringVar(&s.key, "private-key", "", "PEM file of its private key")
	return command
}

func (c *cli) serveKeys(ctx context.Context, p keyServerPaths, s keyServing) error {
	if (s.certificate == "") != (s.key == "") {
		return usageError{errors.New("--certificate and --private-key belong together")}
	}
	if host, _, err := net.SplitHostPort(s.listen); err != nil || s.certificate == "" && !onThisMachine(host) {
		return usageError{errors.New("an address beyond this machine needs --certificate and --private-key")}
	}
	unlock, err := lock(p.dir, "keyserver serve")
	if err != nil {
		return err
	}
	defer unlock()
	log := slog.New(slog.NewJSONHandler(c.err, nil))
	handler, err := c.keyServerHandler(p, log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return gateway.Errorf(gateway.Conflict, "%s cannot be listened on; choose another with --listen", s.listen)
	}
	server := keyserver.Server(handler)
	c.say("pana keyserver answers at %s; end it with Ctrl-C", listener.Addr())
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
	})
	defer stop()
	limited := netutil.LimitListener(listener, 256)
	if s.certificate == "" {
		err = server.Serve(limited)
	} else {
		err = server.ServeTLS(limited, s.certificate, s.key)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving: %w", err)
}

func (c *cli) keyServerHandler(p keyServerPaths, log *slog.Logger) (http.Handler, error) {
	agencies, err := readAgencies(p)
	if err != nil {
		return nil, err
	}
	key, err := openKeyServerKey(p)
	if err != nil {
		return nil, err
	}
	return keyserver.New(keyserver.Options{Key: key, Agencies: agencies, Dir: p.counts, Now: c.now, Log: log})
}

func openKeyServerKey(p keyServerPaths) (*blind.Key, error) {
	by, err := custodians(p.identity)
	if err == nil {
		err = private(p.key)
	}
	if err != nil {
		return nil, err
	}
	sealed, err := os.ReadFile(p.key)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	key, err := blind.OpenKey(bytes.NewReader(sealed), by[0].identity)
	if err != nil {
		return nil, refusal{err}
	}
	return key, nil
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
