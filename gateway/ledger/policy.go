package ledger

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxPolicy bounds a policy file: 32 logs, witnesses and groups and room for prose.
const maxPolicy = 64 << 10

// A Policy says which logs and witnesses are trusted, and which of the witnesses must
// have signed a checkpoint before it counts: a C2SP tlog-policy.
type Policy struct {
	Logs      []note.Verifier
	Witnesses []Witness
	members   map[string]group // witnesses and groups by name
	quorum    string           // "none", or a name
}

// A Witness is one line of a policy.
type Witness struct {
	Name string // within the policy
	Key  *Cosigner
	URL  string // where it takes checkpoints; "" where nobody asks it
}

// A group is met when so many of its members are. A witness has none.
type group struct {
	least   int
	members []string
	witness *Cosigner
}

// A PolicyError names the line of a policy that is wrong. It never quotes it.
type PolicyError struct {
	Line int // from 1; 0 when the whole is meant
	Why  string
}

// Error gives the line and the reason.
func (e *PolicyError) Error() string {
	if e.Line == 0 {
		return "the witness policy: " + e.Why
	}
	return fmt.Sprintf("line %d of the witness policy: %s", e.Line, e.Why)
}

// ParsePolicy reads a C2SP tlog-policy.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, &PolicyError{0, "it is too large"}
	}
	p := &Policy{members: map[string]group{}}
	used := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, &PolicyError{i + 1, "it holds a control character"}
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if why := p.take(fields, used); why != "" {
			return nil, &PolicyError{i + 1, why}
		}
	}
	if p.quorum == "" {
		return nil, &PolicyError{0, "it has no line: quorum NAME"}
	}
	return p, nil
}

// take reads one line, and returns why it is wrong.
func (p *Policy) take(fields []string, used map[string]bool) string {
	switch args := fields[1:]; fields[0] {
	case "log":
		return p.takeLog(args)
	case "witness":
		return p.takeWitness(args)
	case "group":
		return p.takeGroup(args, used)
	case "quorum":
		switch _, known := p.members[strings.Join(args, " ")]; {
		case p.quorum != "":
			return "there is one quorum only"
		case len(args) != 1 || args[0] != "none" && !known:
			return "quorum names a witness or a group of the lines above, or none"
		}
		p.quorum = args[0]
		return ""
	}
	return "it starts with log, witness, group or quorum"
}

func (p *Policy) takeLog(args []string) string {
	if len(args) < 1 || len(args) > 2 {
		return "it is: log KEY [URL]"
	}
	key, err := note.NewVerifier(args[0])
	switch {
	case err != nil:
		return "the key of the log is not one"
	case p.Knows(key):
		return "the log is there twice"
	}
	p.Logs = append(p.Logs, key)
	return ""
}

func sameKey(a, b note.Verifier) bool { return a.Name() == b.Name() && a.KeyHash() == b.KeyHash() }

func (p *Policy) takeWitness(args []string) string {
	if len(args) < 2 || len(args) > 3 {
		return "it is: witness NAME KEY [URL]"
	}
	key, err := ParseCosigner(args[1])
	switch {
	case err != nil:
		return "the key of the witness is not one"
	case p.taken(args[0]):
		return "the name is taken"
	case slices.ContainsFunc(p.Witnesses, func(w Witness) bool { return w.Key.key.Equal(key.key) }):
		return "the witness is there twice"
	}
	w := Witness{Name: args[0], Key: key}
	if len(args) == 3 {
		u, err := url.Parse(args[2])
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "the URL of the witness is not http(s)://HOST/PREFIX"
		}
		w.URL = strings.TrimSuffix(args[2], "/")
	}
	p.Witnesses = append(p.Witnesses, w)
	p.members[w.Name] = group{witness: key}
	return ""
}

func (p *Policy) taken(name string) bool {
	_, known := p.members[name]
	return known || name == "none"
}

func (p *Policy) takeGroup(args []string, used map[string]bool) string {
	if len(args) < 3 {
		return "it is: group NAME all|any|NUMBER MEMBER…"
	}
	g := group{members: args[2:]}
	switch args[1] {
	case "any":
		g.least = 1
	case "all":
		g.least = len(g.members)
	default:
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 || n > len(g.members) || strconv.Itoa(n) != args[1] {
			return "the number of a group is from 1 to that of its members"
		}
		g.least = n
	}
	if p.taken(args[0]) {
		return "the name is taken"
	}
	for _, name := range g.members {
		if _, known := p.members[name]; !known || used[name] {
			return "a member is a witness or a group of the lines above, and of one group only"
		}
		used[name] = true
	}
	p.members[args[0]] = g
	return ""
}

// Met reports whether the witnesses that signed are enough.
func (p *Policy) Met(signed []Cosignature) bool {
	return p.quorum == "none" || p.met(p.quorum, signed)
}

func (p *Policy) met(name string, signed []Cosignature) bool {
	g := p.members[name]
	if g.witness != nil {
		return slices.ContainsFunc(signed, func(c Cosignature) bool { return c.Witness == g.witness.name && c.Key == g.witness.hash })
	}
	n := 0
	for _, member := range g.members {
		if p.met(member, signed) {
			n++
		}
	}
	return n >= g.least
}

// Knows reports whether the policy names a log.
func (p *Policy) Knows(key note.Verifier) bool {
	return slices.ContainsFunc(p.Logs, func(k note.Verifier) bool { return sameKey(k, key) })
}

// Keys are the keys of all witnesses.
func (p *Policy) Keys() []*Cosigner {
	keys := make([]*Cosigner, 0, len(p.Witnesses))
	for _, w := range p.Witnesses {
		keys = append(keys, w.Key)
	}
	return keys
}

var (
	errQuorum  = errors.New("ledger: too few of the policy's witnesses have signed the checkpoint")
	errUnknown = errors.New("ledger: the checkpoint has a signature line of a key that the policy does not know")
)

// Open returns the tree of a checkpoint that key signed and enough of the policy's
// witnesses, and what they signed. Every line must be of a key that is known: nothing
// of the checkpoint is left unproved.
func (p *Policy) Open(checkpoint string, key note.Verifier) (tlog.Tree, []Cosignature, error) {
	tree, err := OpenCheckpoint(checkpoint, key)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	all := []note.Verifier{key}
	for _, w := range p.Witnesses {
		all = append(all, w.Key)
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(all...))
	if err != nil {
		return tlog.Tree{}, nil, errors.New("ledger: a signature of the checkpoint does not hold")
	}
	if len(opened.UnverifiedSigs) > 0 {
		return tlog.Tree{}, nil, errUnknown
	}
	signed := cosignatures(opened.Sigs, p.Keys())
	if !p.Met(signed) {
		return tlog.Tree{}, nil, errQuorum
	}
	return tree, signed, nil
}
