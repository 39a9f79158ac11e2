package approval

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway"
)

// An entry is one line of the file: one key of one person.
type entry struct {
	signer        Signer
	namespaces    []Namespace
	after, before time.Time // both inclusive; zero: no limit
	key           ssh.PublicKey
}

// word splits a line at its first white space outside quotation marks.
func word(line string) (first, rest string) {
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return line[:i], strings.TrimLeft(line[i:], " \t")
		}
	}
	return line, ""
}

func parseEntry(line string) (entry, error) {
	principal, rest := word(line)
	signer, err := ParseSigner(principal)
	if err != nil {
		return entry{}, err
	}
	options, rest := word(rest)
	kind, rest := word(rest)
	encoded, _ := word(rest) // a comment may follow
	e := entry{signer: signer}
	if err := e.options(options); err != nil {
		return entry{}, err
	}
	e.key, err = parseKey(kind, encoded)
	return e, err
}

func parseKey(kind, encoded string) (ssh.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, gateway.Errorf(gateway.Invalid, "after the options comes a public key: its type, and its base64")
	}
	key, err := publicKey(raw)
	if err != nil {
		return nil, err
	}
	if key.Type() != kind {
		return nil, gateway.Errorf(gateway.Invalid, "the key is not of the type that stands before it")
	}
	return key, nil
}

// publicKey reads a key of the kinds that may sign.
func publicKey(raw []byte) (ssh.PublicKey, error) {
	none := gateway.Errorf(gateway.Invalid, "the public key cannot be read")
	if len(raw) > maxKey {
		return nil, none
	}
	key, err := ssh.ParsePublicKey(raw)
	if err != nil || !bytes.Equal(key.Marshal(), raw) {
		return nil, none
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return key, nil
	case ssh.KeyAlgoRSA:
		crypto, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return nil, none
		}
		if plain, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); !ok || plain.N.BitLen() < minRSA {
			return nil, gateway.Errorf(gateway.Invalid, "RSA keys have at least %d bits", minRSA)
		}
		return key, nil
	}
	return nil, gateway.Errorf(gateway.Invalid, "keys are ed25519, ecdsa, rsa or those of security keys; no DSA and no certificates")
}

var (
	optionForm    = regexp.MustCompile(`^([a-z-]+)="([^"]*)"(,|$)`)
	namespaceForm = regexp.MustCompile(`^[a-z][a-z0-9.@-]{0,63}$`)
	timeForm      = regexp.MustCompile(`^[0-9]{8}([0-9]{4}([0-9]{2})?)?Z$`)
)

// options reads what stands between a principal and its key.
func (e *entry) options(text string) error {
	for rest := text; rest != ""; {
		m := optionForm.FindStringSubmatch(rest)
		if m == nil || (m[3] == "," && len(m[0]) == len(rest)) {
			break // what is left is said below
		}
		rest = rest[len(m[0]):]
		if err := e.option(m[1], m[2]); err != nil {
			return err
		}
		if rest == "" && e.namespaces != nil {
			return e.ordered()
		}
	}
	return gateway.Errorf(gateway.Invalid,
		`a signer's options are namespaces="…" and, if wanted, valid-after="…Z" and valid-before="…Z", separated by commas; cert-authority is not taken`)
}

func (e *entry) option(name, value string) error {
	var err error
	switch {
	case name == "namespaces" && e.namespaces == nil:
		for ns := range strings.SplitSeq(value, ",") {
			if !namespaceForm.MatchString(ns) {
				return gateway.Errorf(gateway.Invalid, "namespaces are named one by one, separated by commas, without patterns")
			}
			e.namespaces = append(e.namespaces, Namespace(ns))
		}
	case name == "valid-after" && e.after.IsZero():
		e.after, err = parseTime(value)
	case name == "valid-before" && e.before.IsZero():
		e.before, err = parseTime(value)
	default:
		err = gateway.Errorf(gateway.Invalid, "an option is unknown or there twice")
	}
	return err
}

func (e *entry) ordered() error {
	if !e.after.IsZero() && !e.before.IsZero() && !e.after.Before(e.before) {
		return gateway.Errorf(gateway.Invalid, "valid-before is not after valid-after")
	}
	return nil
}

// timeLayout is the longest form; the shorter ones leave zeros out.
const timeLayout = "20060102150405Z"

func parseTime(text string) (time.Time, error) {
	full := strings.TrimSuffix(text, "Z")
	full += strings.Repeat("0", max(0, 14-len(full))) + "Z"
	t, err := time.Parse(timeLayout, full)
	if err != nil || !timeForm.MatchString(text) || t.Unix() <= 0 {
		return time.Time{}, gateway.Errorf(gateway.Invalid, "times are written YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ, in UTC")
	}
	return t, nil
}

func (e *entry) may(ns Namespace, at time.Time) error {
	switch {
	case !slices.Contains(e.namespaces, ns):
		return gateway.Errorf(gateway.Forbidden, "%s may not sign for %s", e.signer, ns)
	// Seconds, as ssh-keygen compares them: a key is valid to the end of its last one.
	case !e.after.IsZero() && at.Unix() < e.after.Unix():
		return gateway.Errorf(gateway.Forbidden, "the key of %s is not valid yet", e.signer)
	case !e.before.IsZero() && at.Unix() > e.before.Unix():
		return gateway.Errorf(gateway.Forbidden, "the key of %s is no longer valid", e.signer)
	}
	return nil
}
