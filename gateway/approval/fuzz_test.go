package approval_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway/approval"
)

// FuzzParseSigners: what is accepted is written again in one spelling, which reads as
// the same, and nobody in it is two people.
func FuzzParseSigners(f *testing.F) {
	one, two := seeded(f, 1).PublicKey(), seeded(f, 2).PublicKey()
	f.Add([]byte(line("officer/a", `namespaces="pana-policy"`, one)))
	f.Add([]byte("# x\n\t" + line("officer/a.b", `valid-after="20260101Z",namespaces="pana-policy,pana-keys",valid-before="203001010000Z"`, one) + line("steward/b", `namespaces="git"`, two)))
	f.Add([]byte(line("officer/a", `namespaces="pana-policy"`, one) + line("steward/a", `namespaces="pana-policy"`, two)))
	f.Add([]byte(`officer/a namespaces="a b",cert-authority ssh-rsa AAAA`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := approval.ParseSigners(text)
		if err != nil {
			return
		}
		spelt := s.Encode()
		again, err := approval.ParseSigners(spelt)
		if err != nil {
			t.Fatalf("the canonical spelling is refused: %v\n%s", err, spelt)
		}
		if !bytes.Equal(again.Encode(), spelt) {
			t.Fatalf("spelt twice:\n%s\n%s", spelt, again.Encode())
		}
		if !bytes.Equal(s.Text(), text) {
			t.Fatal("the text is another")
		}
		roles, keys := map[string]string{}, map[string]bool{}
		for l := range strings.Lines(string(spelt)) {
			fields := strings.Fields(l)
			role, person, _ := strings.Cut(fields[0], "/")
			if other, found := roles[person]; found && other != role || keys[fields[3]] {
				t.Fatalf("one person is two:\n%s", spelt)
			}
			roles[person], keys[fields[3]] = role, true
		}
	})
}

// FuzzParseSignature: what is accepted is written again in one spelling, which reads
// as the same.
func FuzzParseSignature(f *testing.F) {
	armored := sign(f, approval.Policy, seeded(f, 1))
	f.Add(armored)
	f.Add(bytes.ReplaceAll(armored, []byte("\n"), []byte("\r\n")))
	f.Add(append([]byte("\n "), armored[:len(armored)-1]...))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := approval.ParseSignature(text)
		if err != nil {
			return
		}
		again, err := approval.ParseSignature(s.Armor())
		if err != nil {
			t.Fatalf("the canonical spelling is refused: %v", err)
		}
		if !bytes.Equal(again.Armor(), s.Armor()) {
			t.Fatal("spelt twice")
		}
	})
}

// FuzzParseStatement: there is one spelling, the one that is signed.
func FuzzParseStatement(f *testing.F) {
	s := approval.Statement{V: 1, Installation: "pana/test", Proposal: "p1", Kind: "policy", Object: "ab", Digest: "ab", Base: "cd", Effects: "ef", Signers: "01"}
	text, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	s.Expires = approval.Until(at)
	text, _ = s.Encode()
	f.Add(text)
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := approval.ParseStatement(text)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("spelt %s, then %s: %v", text, again, err)
		}
	})
}
