package approval_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/approval"
)

// kinds are the keys that ssh-keygen makes in files, and how.
var kinds = map[string][]string{
	"ed25519":  {"-t", "ed25519"},
	"ecdsa256": {"-t", "ecdsa", "-b", "256"},
	"ecdsa384": {"-t", "ecdsa", "-b", "384"},
	"ecdsa521": {"-t", "ecdsa", "-b", "521"},
	"rsa2048":  {"-t", "rsa", "-b", "2048"},
}

const statement = `{"effects":"9f86d081","kind":"policy"}`

// Every signature that OpenSSH makes with a kind of key that we take is verified by
// us, re-encodes to the same bytes, and is verified by OpenSSH with the same files;
// both refuse the same changes.
func TestOpenSSHSignsAndAgrees(t *testing.T) {
	for kind, args := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := `officer/aigul.b namespaces="pana-policy,pana-keys",valid-after="20260101Z",valid-before="202612312359Z" ` + newKey(t, dir, "key", args...)
			write(t, dir, "allowed_signers", "# who may sign\n\n"+file)
			write(t, dir, "statement", statement)
			if out, ok := keygen(t, dir, "", "-q", "-Y", "sign", "-n", "pana-policy", "-f", "key", "statement"); !ok {
				t.Fatalf("ssh-keygen does not sign: %s", out)
			}
			signers := parse(t, read(t, dir, "allowed_signers"))
			armored := read(t, dir, "statement.sig")
			parsed, err := approval.ParseSignature([]byte(armored))
			if err != nil {
				t.Fatal(err)
			}
			if again := string(parsed.Armor()); again != armored {
				t.Errorf("re-encoded:\n%s\nmade:\n%s", again, armored)
			}
			for _, c := range []struct {
				name, statement, armored string
				ns                       approval.Namespace
				at                       time.Time
				good                     bool
			}{
				{"good", statement, armored, approval.Policy, at, true},
				{"another statement", statement + " ", armored, approval.Policy, at, false},
				{"no statement", "", armored, approval.Policy, at, false},
				{"another namespace", statement, armored, approval.Keys, at, false},
				{"a namespace that is not its own", statement, armored, approval.Erasure, at, false},
				{"too early", statement, armored, approval.Policy, time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC), false},
				{"in its first second", statement, armored, approval.Policy, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), true},
				{"in its last second", statement, armored, approval.Policy, time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC), true},
				{"too late", statement, armored, approval.Policy, time.Date(2026, 12, 31, 23, 59, 1, 0, time.UTC), false},
				{"cut", statement, armored[:len(armored)/2], approval.Policy, at, false},
				{"nothing", statement, "", approval.Policy, at, false},
			} {
				ours, err := signers.Verify(c.ns, []byte(c.statement), []byte(c.armored), c.at)
				if (err == nil) != c.good {
					t.Errorf("%s: we say %v %v", c.name, ours, err)
				}
				if err == nil && ours.String() != "officer/aigul.b" {
					t.Errorf("%s: signed by %s", c.name, ours)
				}
				write(t, dir, "check.sig", c.armored)
				out, theirs := keygen(t, dir, c.statement, "-Y", "verify", "-f", "allowed_signers", "-I", "officer/aigul.b",
					"-n", string(c.ns), "-s", "check.sig", "-O", "verify-time="+c.at.Format("20060102150405Z"))
				if theirs != c.good {
					t.Errorf("%s: ssh-keygen says %v: %s", c.name, theirs, out)
				}
			}
		})
	}
}

// What we sign, OpenSSH verifies.
func TestOpenSSHVerifiesOurs(t *testing.T) {
	dir, key := t.TempDir(), seeded(t, 1)
	write(t, dir, "allowed_signers", line("steward/s", `namespaces="pana-keys"`, key.PublicKey()))
	write(t, dir, "sig", string(sign(t, approval.Keys, key)))
	if out, ok := keygen(t, dir, statement, "-Y", "verify", "-f", "allowed_signers", "-I", "steward/s", "-n", "pana-keys", "-s", "sig"); !ok {
		t.Errorf("ssh-keygen refuses: %s", out)
	}
}

// What we would refuse to take, in files that OpenSSH itself makes.
func TestRefusesKeysOfOpenSSH(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{"rsa1024": {"-t", "rsa", "-b", "1024"}} {
		text := `officer/a namespaces="pana-policy" ` + newKey(t, dir, name, args...)
		if _, err := approval.ParseSigners([]byte(text)); err == nil || !strings.Contains(err.Error(), "2048") {
			t.Errorf("%s: %v", name, err)
		}
	}
	authority, person := newKey(t, dir, "ca", "-t", "ed25519"), newKey(t, dir, "person", "-t", "ed25519")
	if out, ok := keygen(t, dir, "", "-q", "-s", "ca", "-I", "id", "-n", "officer/a", "person.pub"); !ok {
		t.Fatal(out)
	}
	for name, text := range map[string]string{
		"a certificate": `officer/a namespaces="pana-policy" ` + read(t, dir, "person-cert.pub"),
		"an authority":  `officer/a cert-authority,namespaces="pana-policy" ` + authority,
	} {
		if _, err := approval.ParseSigners([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	// A signature by a certificate names no key of ours.
	write(t, dir, "statement", statement)
	_ = os.Rename(filepath.Join(dir, "person-cert.pub"), filepath.Join(dir, "person.pub"))
	signers := parse(t, `officer/a namespaces="pana-policy" `+person)
	if out, ok := keygen(t, dir, "", "-q", "-Y", "sign", "-n", "pana-policy", "-f", "person", "statement"); !ok {
		t.Fatal(out)
	}
	if _, err := signers.Verify(approval.Policy, []byte(statement), []byte(read(t, dir, "statement.sig")), at); err != nil {
		t.Logf("a signature with a certificate beside the key: %v", err)
	}
}
