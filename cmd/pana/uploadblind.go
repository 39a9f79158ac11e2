package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/keyserver"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

// blindFlags are those of an upload that hides identifiers from the gateway.
type blindFlags struct {
	on                                  bool
	server, key, token, authority, rule string
}

func (b *blindFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&b.on, "blind", false, "let a key server make the pseudonyms; the gateway sees no identification number")
	f.StringVar(&b.server, "keyserver", "", "with --blind: address of the key server, https://HOST:PORT")
	f.StringVar(&b.key, "keyserver-key", "", "with --blind: public key of the key server, as its owner printed it")
	f.StringVar(&b.token, "keyserver-token-file", "", "with --blind: file with the token that the key server's owner gave you")
	f.StringVar(&b.authority, "keyserver-authority", "", "with --blind: PEM file of the key server's authority; default: those of the system")
	f.StringVar(&b.rule, "policies", "", "with --blind: folder of policies; default: those built in")
}

// client returns what asks the key server.
func (b *blindFlags) client() (*keyserver.Client, error) {
	if b.server == "" || b.key == "" || b.token == "" {
		return nil, usageError{errors.New("--blind needs --keyserver, --keyserver-key and --keyserver-token-file")}
	}
	return keyServerClient(b.server, b.key, b.token, b.authority)
}

// keyServerClient makes a client of a key server whose token, and authority if it is not
// one of the system's, lie in files.
func keyServerClient(address, public, token, authority string) (*keyserver.Client, error) {
	pinned, err := blind.ParsePublicKey(public)
	if err != nil {
		return nil, usageError{err}
	}
	secret, err := os.ReadFile(token) //nolint:gosec // the user names the file
	if err != nil {
		return nil, usageError{errors.New("the file of the key server's token cannot be read: " + token)}
	}
	o := keyserver.ClientOptions{URL: address, Public: pinned, Token: strings.TrimSpace(string(secret))}
	if authority != "" {
		pem, err := os.ReadFile(authority) //nolint:gosec // the user names the file
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, usageError{errors.New("the file of the key server's authority has no certificate: " + authority)}
		}
		o.HTTP = &http.Client{
			Timeout: 2 * time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return keyserver.NewClient(o)
}

// uploadBlind checks the file here, has the key server make the pseudonyms, and uploads
// what comes of it. That file is closed to others and taken away at the end: it has what
// a record says of a child, if not of which.
func (c *cli) uploadBlind(ctx context.Context, cl *client, u uploading, b blindFlags) error {
	if u.reject != string(gateway.RejectBatch) {
		return usageError{errors.New("a blind batch is sent whole: leave --reject out, and mend what pana check says")}
	}
	if u.says.kind == string(gateway.Nothing) {
		return usageError{errors.New("a report of nothing has no file: pana batch nothing")}
	}
	server, err := b.client()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pana-blind-")
	if err != nil {
		return errors.New("no folder for the blind file can be made")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "blind.csv")
	report, err := c.writeBlind(ctx, u, b, server, path)
	if err == nil && report.Refused > 0 {
		err = refusal{fmt.Errorf("%d of %d records have problems; nothing was sent", report.Refused, report.Records)}
	}
	if err != nil {
		if report != nil {
			err = errors.Join(err, c.printReport(report.In(func(code gateway.ProblemCode) string { return describe(code, u.style.lang) }), u.style))
		}
		return err
	}
	c.say("  %d records are checked and blinded; sending them", report.Records)
	u.file, u.blind, u.said = path, true, gateway.Said{Encoding: "utf-8", Separator: "comma"}
	return c.upload(ctx, cl, u)
}

func (c *cli) writeBlind(ctx context.Context, u uploading, b blindFlags, server *keyserver.Client, path string) (*gateway.Report, error) {
	contract, err := contractByID(gateway.ContractID(u.contract))
	if err != nil {
		return nil, err
	}
	others, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	set, err := policySet(ctx, b.rule)
	if err != nil {
		return nil, err
	}
	plan, err := set.Plan(ctx, contract)
	if err != nil {
		return nil, err
	}
	m, err := c.checkManifest(u.from, u.to)
	if err != nil {
		return nil, err
	}
	m.Reject, m.Kind = gateway.RejectBatch, gateway.BatchKind(u.says.kind)
	file, err := os.Open(u.file)
	if err != nil {
		return nil, usageError{errors.New("the file cannot be read: " + u.file)}
	}
	defer func() { _ = file.Close() }()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in a folder of ours
	if err != nil {
		return nil, errors.New("the blind file cannot be made")
	}
	report, err := pipelines.Blind(ctx, file, pipelines.Options{
		Contract: contract, Others: others, Plan: plan, Agency: "blind", Said: u.said, Batch: m, Today: gateway.DayOf(c.now()), Rand: rand.Reader,
	}, server.Evaluate, out)
	if closed := out.Close(); err == nil && closed != nil {
		err = errors.New("the blind file cannot be written")
	}
	return report, err
}
