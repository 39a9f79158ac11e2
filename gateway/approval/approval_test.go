package approval_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
)

// Two people and two roles, and the roles that are needed: all sets of the three
// roles and of two people a role, against the sentence itself.
func TestSettled(t *testing.T) {
	var all []approval.Signer
	for _, role := range []gateway.Role{gateway.RoleOfficer, gateway.RoleOperator, gateway.RoleSteward} {
		for _, person := range []string{"a", "b"} {
			all = append(all, approval.Signer{Role: role, Person: person})
		}
	}
	for set := range 1 << len(all) {
		var signers []approval.Signer
		for i, s := range all {
			if set&(1<<i) != 0 {
				signers = append(signers, s)
			}
		}
		two, officer := false, false
		for _, a := range signers {
			officer = officer || a.Role == gateway.RoleOfficer
			for _, b := range signers {
				two = two || a.Person != b.Person && a.Role != b.Role
			}
		}
		if got := approval.Settled(signers); (got == nil) != two {
			t.Errorf("%v: %v", signers, got)
		}
		got := approval.Settled(signers, gateway.RoleOfficer)
		if (got == nil) != (two && officer) || got != nil && !errors.Is(got, gateway.Forbidden) {
			t.Errorf("%v with an officer: %v", signers, got)
		}
	}
}

func TestSettledSaysWhatIsMissing(t *testing.T) {
	officer, colleague := approval.Signer{Role: gateway.RoleOfficer, Person: "a"}, approval.Signer{Role: gateway.RoleOfficer, Person: "b"}
	operator, steward := approval.Signer{Role: gateway.RoleOperator, Person: "o"}, approval.Signer{Role: gateway.RoleSteward, Person: "s"}
	for _, c := range []struct {
		signers []approval.Signer
		want    string
	}{
		{nil, "missing: two signatures, of two people with two different roles; the signature of an officer"},
		{[]approval.Signer{officer}, "missing: a signature of another person, in another role than officer"},
		{[]approval.Signer{officer, officer}, "missing: a signature of another person, in another role than officer"},
		{[]approval.Signer{officer, colleague}, "missing: a signature in another role than officer"},
		{[]approval.Signer{operator, steward}, "missing: the signature of an officer"},
	} {
		if got := approval.Settled(c.signers, gateway.RoleOfficer); got == nil || got.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.signers, got, c.want)
		}
	}
}

func TestSignersRefused(t *testing.T) {
	one, two := seeded(t, 1).PublicKey(), seeded(t, 2).PublicKey()
	const ok = `namespaces="pana-policy"`
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	long, err := ssh.NewPublicKey(&short.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	mislabelled := strings.Replace(line("officer/a", ok, one), "ssh-ed25519 ", "ssh-rsa ", 1)
	for name, text := range map[string]string{
		"nobody":                    "# nobody\n",
		"a person in two roles":     line("officer/a", ok, one) + line("steward/a", ok, two),
		"a key of two people":       line("officer/a", ok, one) + line("steward/b", ok, one),
		"a key twice":               line("officer/a", ok, one) + line("officer/a", ok, one),
		"another role":              line("researcher/a", ok, one),
		"no role":                   line("a", ok, one),
		"a pattern":                 line("officer/*", ok, one),
		"two principals":            line("officer/a,steward/b", ok, one),
		"a name in capitals":        line("officer/A", ok, one),
		"a number":                  line("officer/850101300123", ok, one),
		"no namespaces":             line("officer/a", "", one),
		"namespaces alone":          line("officer/a", "namespaces", one),
		"a pattern of namespaces":   line("officer/a", `namespaces="pana-*"`, one),
		"a negated namespace":       line("officer/a", `namespaces="pana-policy,!git"`, one),
		"an empty namespace":        line("officer/a", `namespaces="pana-policy,"`, one),
		"namespaces twice":          line("officer/a", ok+","+ok, one),
		"a comma at the end":        line("officer/a", ok+",", one),
		"an authority":              line("officer/a", "cert-authority,"+ok, one),
		"an unknown option":         line("officer/a", ok+`,no-touch="1"`, one),
		"a local time":              line("officer/a", ok+`,valid-before="20270101"`, one),
		"no time":                   line("officer/a", ok+`,valid-before="20270231Z"`, one),
		"the epoch":                 line("officer/a", ok+`,valid-after="19700101Z"`, one),
		"an hour alone":             line("officer/a", ok+`,valid-after="2026010112Z"`, one),
		"ended before it began":     line("officer/a", ok+`,valid-after="20270101Z",valid-before="20260101Z"`, one),
		"another type":              mislabelled,
		"a cut key":                 line("officer/a", ok, one)[:60] + "\n",
		"carriage returns":          strings.ReplaceAll(line("officer/a", ok, one), "\n", "\r\n"),
		"a NUL":                     line("officer/a", ok, one) + "\x00\n",
		"not UTF-8":                 line("officer/a", ok, one) + "# \xff\n",
		"too long":                  line("officer/a", ok, one) + strings.Repeat("#\n", 40<<10),
		"the options after the key": "officer/a ssh-ed25519 " + base64.StdEncoding.EncodeToString(one.Marshal()) + " " + ok + "\n",
	} {
		if _, err := approval.ParseSigners([]byte(text)); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	parse(t, line("operator/o", ok, long)+line("officer/a", ok, one)) // and what is right is taken
}

// A second of a key's life, its namespaces and its order are kept by Encode.
func TestSignersKeepWhatTheySay(t *testing.T) {
	text := "\n  # Айгүл\n" + strings.TrimSuffix(line("officer/a", `valid-before="202701012200Z",namespaces="pana-policy,git"`, seeded(t, 1).PublicKey()), "\n") + " Айгүл\n" +
		line("officer/a", `namespaces="pana-keys",valid-after="20260101000001Z"`, seeded(t, 2).PublicKey()) +
		line("steward/b", `namespaces="pana-policy"`, seeded(t, 3).PublicKey())
	s := parse(t, text)
	want := line("officer/a", `namespaces="pana-policy,git",valid-before="20270101220000Z"`, seeded(t, 1).PublicKey()) +
		line("officer/a", `namespaces="pana-keys",valid-after="20260101000001Z"`, seeded(t, 2).PublicKey()) +
		line("steward/b", `namespaces="pana-policy"`, seeded(t, 3).PublicKey())
	if got := string(s.Encode()); got != want {
		t.Errorf("encoded:\n%s\nwant:\n%s", got, want)
	}
	if string(s.Text()) != text {
		t.Error("the text is not the file's")
	}
	if got := s.May(approval.Policy, at); len(got) != 2 || got[0].String() != "officer/a" || got[1].String() != "steward/b" {
		t.Errorf("may sign policies: %v", got)
	}
	if got := s.May(approval.Erasure, at); got != nil {
		t.Errorf("may sign for erasures: %v", got)
	}
}

// Nobody's signature counts for anybody else's, whichever byte of it is changed.
func TestNoByteMayChange(t *testing.T) {
	key := seeded(t, 1)
	signers := parse(t, line("officer/a", `namespaces="pana-policy"`, key.PublicKey())+line("steward/b", `namespaces="pana-policy"`, seeded(t, 2).PublicKey()))
	armored := string(sign(t, approval.Policy, key))
	text := strings.NewReplacer("-----BEGIN SSH SIGNATURE-----", "", "-----END SSH SIGNATURE-----", "", "\n", "").Replace(armored)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			if _, err := signers.Verify(approval.Policy, []byte(statement), wrapped(changed), at); err == nil {
				t.Fatalf("byte %d with bit %d changed is taken", i, bit)
			}
		}
	}
	for _, changed := range [][]byte{append(bytes.Clone(raw), 0), raw[:len(raw)-1], append([]byte{0}, raw...)} {
		if _, err := signers.Verify(approval.Policy, []byte(statement), wrapped(changed), at); err == nil {
			t.Error("a longer or shorter one is taken")
		}
	}
	if _, err := signers.Verify(approval.Policy, []byte(statement), wrapped(raw), at); err != nil {
		t.Error(err)
	}
	stranger := sign(t, approval.Policy, seeded(t, 3))
	if _, err := signers.Verify(approval.Policy, []byte(statement), stranger, at); !errors.Is(err, gateway.Forbidden) {
		t.Errorf("a stranger: %v", err)
	}
}

func wrapped(raw []byte) []byte {
	return []byte("-----BEGIN SSH SIGNATURE-----\n" + base64.StdEncoding.EncodeToString(raw) + "\n-----END SSH SIGNATURE-----\n")
}

// made lays a signature out as PROTOCOL.sshsig 3 does, written down a second time.
func made(t *testing.T, key ssh.PublicKey, version uint32, reserved, hash string, sig *ssh.Signature) []byte {
	t.Helper()
	var b []byte
	field := func(v []byte) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...) }
	b = append(b, "SSHSIG"...)
	b = binary.BigEndian.AppendUint32(b, version)
	for _, v := range [][]byte{key.Marshal(), []byte("pana-policy"), []byte(reserved), []byte(hash), ssh.Marshal(sig)} {
		field(v)
	}
	return wrapped(b)
}

func message(reserved, hash string, digest []byte) []byte {
	return ssh.Marshal(struct {
		Magic              [6]byte
		NS, Reserved, Hash string
		Digest             []byte
	}{[6]byte([]byte("SSHSIG")), "pana-policy", reserved, hash, digest})
}

// The key really signs each of these; it is the form that is not to be taken.
func TestFormsRefused(t *testing.T) {
	key := seeded(t, 1)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	old, err := ssh.NewSignerFromKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	signers := parse(t, line("officer/a", `namespaces="pana-policy"`, key.PublicKey())+line("steward/b", `namespaces="pana-policy"`, old.PublicKey()))
	sum := sha256.Sum256([]byte(statement))
	good := message("", "sha256", sum[:])
	signed := func(by ssh.Signer, m []byte, algorithm string) *ssh.Signature {
		sig, err := by.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, m, algorithm)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	ed := signed(key, good, ssh.KeyAlgoED25519)
	trailing := *ed
	trailing.Rest = []byte{1, 0, 0, 0, 0}
	for _, c := range []struct {
		name    string
		armored []byte
		taken   bool
	}{
		{"sha256", made(t, key.PublicKey(), 1, "", "sha256", ed), true},
		{"rsa-sha2-512", made(t, old.PublicKey(), 1, "", "sha256", signed(old, good, ssh.KeyAlgoRSASHA512)), true},
		{"rsa with SHA-1", made(t, old.PublicKey(), 1, "", "sha256", signed(old, good, ssh.KeyAlgoRSA)), false},
		{"version 2", made(t, key.PublicKey(), 2, "", "sha256", ed), false},
		{"something reserved", made(t, key.PublicKey(), 1, "x", "sha256", signed(key, message("x", "sha256", sum[:]), ssh.KeyAlgoED25519)), false},
		{"another hash", made(t, key.PublicKey(), 1, "", "md5", signed(key, message("", "md5", sum[:16]), ssh.KeyAlgoED25519)), false},
		{"no hash", made(t, key.PublicKey(), 1, "", "", signed(key, message("", "", nil), ssh.KeyAlgoED25519)), false},
		{"something after the signature", made(t, key.PublicKey(), 1, "", "sha256", &trailing), false},
	} {
		_, err := signers.Verify(approval.Policy, []byte(statement), c.armored, at)
		if (err == nil) != c.taken {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A security key signs the application, its flags and a counter too
// (OpenSSH PROTOCOL.u2f). It must have been touched.
func TestSecurityKey(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	const application = "ssh:"
	raw := ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, private.Public().(ed25519.PublicKey), application})
	key, err := ssh.ParsePublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	signers := parse(t, line("officer/a", `namespaces="pana-policy"`, key))
	sum := sha256.Sum256([]byte(statement))
	inner := sha256.Sum256(message("", "sha256", sum[:]))
	app := sha256.Sum256([]byte(application))
	for flags, taken := range map[byte]bool{1: true, 5: true, 0: false, 4: false} {
		rest := []byte{flags, 0, 0, 0, 9}
		m := append(append(bytes.Clone(app[:]), rest...), inner[:]...)
		sig := &ssh.Signature{Format: key.Type(), Blob: ed25519.Sign(private, m), Rest: rest}
		_, err := signers.Verify(approval.Policy, []byte(statement), made(t, key, 1, "", "sha256", sig), at)
		if (err == nil) != taken {
			t.Errorf("flags %d: %v", flags, err)
		}
	}
}
