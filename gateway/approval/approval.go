// Package approval verifies that two people with two different roles signed one
// thing: a policy, a rotation of keys, an erasure (trust.md 5.1, OWASP ASVS 2.3.5).
//
// The formats are those of OpenSSH, so that nobody has to believe this code.
// Signatures are SSHSIG as "ssh-keygen -Y sign" makes them; who may sign is an
// allowed_signers file, whose principals are role/person:
//
//	officer/aigul.b namespaces="pana-policy,pana-keys" ssh-ed25519 AAAAC3Nza…
//
// What [Signers.Verify] accepts, this accepts too:
//
//	ssh-keygen -Y verify -f allowed_signers -I officer/aigul.b -n pana-policy -s file.sig < file
//
// Call [ParseSigners] with the file, [Signers.Verify] with each signature, and
// [Settled] with those whom it named. Both readers take a subset of what OpenSSH
// takes: what could be read in two ways is refused, and so is a file in which one
// person could sign as two.
//
// The package does no I/O and knows no clock. It will not decide what a statement
// should say: that is for whoever has it signed.
package approval

import (
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Namespace is what a signature is for: one made for another namespace does not
// count, whatever it signs (OpenSSH PROTOCOL.sshsig).
type Namespace string

// The namespaces.
const (
	Policy  Namespace = "pana-policy"  // policies
	Keys    Namespace = "pana-keys"    // the keyring: create, rotate, destroy, export
	Erasure Namespace = "pana-erasure" // of rows, by the law
)

// A Signer is a person in the role in which they signed.
type Signer struct {
	Role   gateway.Role `json:"role"`
	Person string       `json:"person"`
}

// String returns the signer's principal, as allowed_signers files have it.
func (s Signer) String() string { return string(s.Role) + "/" + s.Person }

// roles may sign: the three that trust.md 6.1 sets against an insider pair. The
// steward is the owner of the data.
var roles = []gateway.Role{gateway.RoleOfficer, gateway.RoleOperator, gateway.RoleSteward}

// maxPerson is the most bytes of a person's name in a principal.
const maxPerson = 64

// ParseSigner reads a principal, "officer/aigul.b".
func ParseSigner(principal string) (Signer, error) {
	role, person, ok := strings.Cut(principal, "/")
	s := Signer{gateway.Role(role), person}
	switch {
	case !ok || !slices.Contains(roles, s.Role):
		return Signer{}, gateway.Errorf(gateway.Invalid, "a signer is officer/…, operator/… or steward/… and a person's name")
	case !personal(person):
		return Signer{}, gateway.Errorf(gateway.Invalid,
			"a signer's name is lower-case letters, digits, dots, hyphens and underscores, starts with a letter and has at most %d", maxPerson)
	}
	return s, nil
}

// personal reports whether a name is spelt as a person's. There is one spelling, so
// that nobody is two people by writing a name in two ways, and no digits alone.
func personal(name string) bool {
	if name == "" || len(name) > maxPerson || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Settled returns nil when two different people signed in two different roles, and
// each of the roles needed is among those who did. Otherwise it reports Forbidden
// and says what is missing.
func Settled(signers []Signer, needs ...gateway.Role) error {
	var missing []string
	if !pair(signers) {
		switch {
		case len(signers) == 0:
			missing = append(missing, "two signatures, of two people with two different roles")
		case same(signers, func(s Signer) string { return s.Person }):
			missing = append(missing, "a signature of another person, in another role than "+string(signers[0].Role))
		default:
			missing = append(missing, "a signature in another role than "+string(signers[0].Role))
		}
	}
	for _, role := range needs {
		if !slices.ContainsFunc(signers, func(s Signer) bool { return s.Role == role }) {
			missing = append(missing, "the signature of an "+string(role))
		}
	}
	if missing == nil {
		return nil
	}
	return gateway.Errorf(gateway.Forbidden, "missing: %s", strings.Join(missing, "; "))
}

// pair reports whether two of the signers differ in person and in role.
func pair(signers []Signer) bool {
	return slices.ContainsFunc(signers, func(a Signer) bool {
		return slices.ContainsFunc(signers, func(b Signer) bool { return a.Person != b.Person && a.Role != b.Role })
	})
}

func same(signers []Signer, by func(Signer) string) bool {
	return !slices.ContainsFunc(signers, func(s Signer) bool { return by(s) != by(signers[0]) })
}
