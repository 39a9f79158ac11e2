package registry

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

func (r *Registry) grant(t *testing.T, spec KeySpec) (string, string) {
	t.Helper()
	token, id, err := r.AddKey(t.Context(), "install", spec)
	if err != nil {
		t.Fatal(err)
	}
	return token, id
}

func TestKeys(t *testing.T) {
	r, c := start(t)
	token, id := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	caller, err := r.Authenticate(t.Context(), token)
	want := gateway.Caller{
		Key: id, Subject: "police-a", Org: "police-a", Role: gateway.RoleAgency, Agency: "police-a", Contract: []gateway.ContractID{"police"},
	}
	if diff := cmp.Diff(want, caller); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	token, id = r.grant(t, KeySpec{
		Subject: "r1", Org: "university", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"monitoring"}, Expires: c.now().Add(time.Hour),
	})
	caller, err = r.Authenticate(t.Context(), token)
	want = gateway.Caller{Key: id, Subject: "r1", Org: "university", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"monitoring"}}
	if diff := cmp.Diff(want, caller); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	c.add(time.Hour)
	_, err = r.Authenticate(t.Context(), token)
	wantKind(t, err, gateway.Unauthenticated)
	keys, err := r.Keys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Fatalf("%v, %v", keys, err)
	}
}

// What is wrong with a token cannot be told from the answer (trust.md B61, B62).
func TestRefusedTokensAreAlike(t *testing.T) {
	r, c := start(t)
	revoked, id := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	for range 2 {
		if err := r.RevokeKey(t.Context(), "install", id); err != nil {
			t.Fatal(err)
		}
	}
	expired, _ := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a", Expires: c.now().Add(time.Second)})
	c.add(time.Second)
	good, _ := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	parsed, ok := parseToken(good)
	if !ok {
		t.Fatal("our own token does not parse")
	}
	wrong, unknown, staging := parsed, parsed, parsed
	wrong.secret[31] ^= 1
	unknown.id = "kzzzzzzzzzzzzzzzz"
	staging.env = "staging"
	var texts []string
	for _, text := range []string{
		"", "Bearer", good + "x", good[:len(good)-1] + "z", strings.ToUpper(good), wrong.encode(), unknown.encode(), staging.encode(),
		revoked, expired, strings.Repeat("a", 1<<20),
	} {
		caller, err := r.Authenticate(t.Context(), text)
		failure, typed := errors.AsType[*gateway.Error](err)
		if !typed || failure.Kind != gateway.Unauthenticated || failure.Err != nil || caller.Key != "" {
			t.Fatalf("got %v, %v", caller, err)
		}
		texts = append(texts, failure.Detail)
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Fatalf("%q differs from %q", text, texts[0])
		}
	}
	if _, err := r.Authenticate(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.RevokeKey(t.Context(), "install", "kx"), gateway.NotFound)
}

// The last operator's key that is alive cannot be ended: nobody could grant another.
func TestLastOperator(t *testing.T) {
	r, c := start(t)
	operator := KeySpec{Subject: "operator", Org: "operator", Role: gateway.RoleOperator}
	brief := operator
	brief.Expires = c.now().Add(time.Hour)
	_, first := r.grant(t, operator)
	_, second := r.grant(t, brief)
	_, agency := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	revoke := func(id string) error { return r.RevokeKey(t.Context(), "k1", id) }
	c.add(time.Hour) // the second expires
	wantKind(t, revoke(first), gateway.Conflict)
	if err := errors.Join(revoke(second), revoke(agency)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, revoke(first), gateway.Conflict)
	_, third := r.grant(t, operator)
	if err := errors.Join(revoke(first), revoke(first)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, revoke(third), gateway.Conflict)
}

// A thousand failures are a few leaves that count them all.
func TestFailuresAreCounted(t *testing.T) {
	r, c := start(t)
	for range 1000 {
		_, _ = r.Authenticate(t.Context(), "guess")
		c.add(time.Second / 4)
	}
	if err := r.logFailures(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaves, counted := 0, 0
	for leaf, err := range r.Leaves(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Event != ledger.AuthFailure {
			continue
		}
		d, err := r.Detail(t.Context(), leaf.Seq)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Count int }
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		leaves, counted = leaves+1, counted+body.Count
	}
	if leaves > 6 || counted != 1000 {
		t.Fatalf("%d leaves count %d failures", leaves, counted)
	}
}

// decisions.md 9: agency and researcher, officer and researcher, never in one
// organisation or person.
func TestRolesStayApart(t *testing.T) {
	researcher := func(subject, org string) KeySpec {
		return KeySpec{Subject: subject, Org: org, Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"p"}}
	}
	officer := func(subject, org string) KeySpec {
		return KeySpec{Subject: subject, Org: org, Role: gateway.RoleOfficer}
	}
	agency := func(subject, org string) KeySpec {
		return KeySpec{Subject: subject, Org: org, Role: gateway.RoleAgency, Agency: "police-a"}
	}
	steward := func(subject, org string) KeySpec {
		return KeySpec{Subject: subject, Org: org, Role: gateway.RoleSteward}
	}
	for _, c := range []struct {
		name   string
		first  KeySpec
		second KeySpec
		ok     bool
	}{
		{"two researchers", researcher("a", "uni"), researcher("b", "uni"), true},
		{"researcher, then officer", researcher("a", "uni"), officer("b", "uni"), false},
		{"officer, then researcher", officer("a", "ministry"), researcher("b", "ministry"), false},
		{"agency, then researcher", agency("a", "police-a"), researcher("b", "police-a"), false},
		{"researcher, then agency", researcher("a", "uni"), agency("b", "uni"), false},
		{"agency's owner, then researcher", agency("a", "ministry"), researcher("b", "ministry"), false},
		{"one person, two organisations", researcher("a", "uni"), officer("a", "ministry"), false},
		{"officer and agency", officer("a", "ministry"), agency("b", "ministry"), true},
		{"researcher and steward", researcher("a", "uni"), steward("b", "uni"), true},
		{"steward and researcher", steward("b", "uni"), researcher("a", "uni"), true},
		{"one person, researcher and steward", researcher("a", "uni"), steward("a", "ministry"), false},
		{"one person, steward and researcher", steward("a", "ministry"), researcher("a", "uni"), false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			r, _ := start(t)
			_, id := r.grant(t, c.first)
			_, _, err := r.AddKey(t.Context(), "install", c.second)
			if (err == nil) != c.ok || (err != nil && !errors.Is(err, gateway.Conflict)) {
				t.Fatalf("got %v", err)
			}
			if err := r.RevokeKey(t.Context(), "install", id); err != nil {
				t.Fatal(err)
			}
			if c.first.Role != gateway.RoleAgency {
				r.grant(t, c.second)
			}
		})
	}
	r, _ := start(t)
	_, _, err := r.AddKey(t.Context(), "install", researcher("a", "health-a"))
	wantKind(t, err, gateway.Conflict) // a registered agency without a key is one, too
	r.grant(t, researcher("a", "uni"))
	err = r.AddAgency(t.Context(), "install", Agency{ID: "uni", Contract: "health", Regions: []string{"11"}, From: quarter("2025Q1")})
	wantKind(t, err, gateway.Conflict)
}

// An agency whose key was revoked still is one while its batches are there; when they
// are taken back it may ask.
func TestAgencyWithBatchesStaysApart(t *testing.T) {
	r, _ := start(t)
	_, id := r.grant(t, KeySpec{Subject: "clerk", Org: "ministry", Role: gateway.RoleAgency, Agency: "police-a"})
	asking := KeySpec{Subject: "clerk", Org: "institute", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"p"}}
	b := r.send(t, "police-a", "2025-01-01", "2025-03-31")
	if err := r.RevokeKey(t.Context(), "install", id); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.AddKey(t.Context(), "install", asking)
	wantKind(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "clerk acts as agency") {
		t.Errorf("refused with %q", err)
	}
	asking.Subject, asking.Org = "another", "ministry"
	_, _, err = r.AddKey(t.Context(), "install", asking)
	wantKind(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "organisation ministry acts as agency") {
		t.Errorf("refused with %q", err)
	}
	if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", b); err != nil {
		t.Fatal(err)
	}
	r.grant(t, asking)
}

func TestGrantsRefused(t *testing.T) {
	r, c := start(t)
	for name, spec := range map[string]KeySpec{
		"no role":               {Subject: "a", Org: "b"},
		"no subject":            {Org: "b", Role: gateway.RoleOfficer},
		"an IIN":                {Subject: "100203512345", Org: "b", Role: gateway.RoleOfficer},
		"no purpose":            {Subject: "a", Org: "b", Role: gateway.RoleResearcher},
		"a purpose in words":    {Subject: "a", Org: "b", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"to look"}},
		"an officer's purposes": {Subject: "a", Org: "b", Role: gateway.RoleOfficer, Purposes: []gateway.Purpose{"p"}},
		"another's contract":    {Role: gateway.RoleAgency, Agency: "police-a", Contracts: []gateway.ContractID{"health"}},
		"no agency":             {Subject: "a", Org: "b", Role: gateway.RoleAgency},
		"expired":               {Subject: "a", Org: "b", Role: gateway.RoleOfficer, Expires: c.now()},
		"env":                   {Subject: "a", Org: "b", Role: gateway.RoleOfficer, Env: "a_b"},
	} {
		_, _, err := r.AddKey(t.Context(), "install", spec)
		if !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, _, err := r.AddKey(t.Context(), "install", KeySpec{Role: gateway.RoleAgency, Agency: "nobody"})
	wantKind(t, err, gateway.NotFound)
}

// Neither secrets, nor idempotency keys, nor digests of uploads are in the files.
func TestNothingIsStoredAsSent(t *testing.T) {
	r, _ := start(t)
	token, _ := r.grant(t, KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	in := intent("police-a", "CANARY-upload of Aliya Kim", "content")
	r.load(t, in)
	parsed, ok := parseToken(token)
	if !ok {
		t.Fatal("our own token does not parse")
	}
	if _, err := r.write.ExecContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(r.opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, canary := range map[string]string{
		"idempotency key": "CANARY", "name": "Aliya", "token": strings.Split(token, "_")[3], "secret": string(parsed.secret[:]),
	} {
		if strings.Contains(string(file), canary) {
			t.Errorf("the file holds the %s", name)
		}
	}
	if !strings.Contains(string(file), string(in.Content[:])) {
		t.Error("the file does not hold the keyed digest: this test looks at the wrong bytes")
	}
}

func FuzzToken(f *testing.F) {
	f.Add(token{env: "live", id: "k1"}.encode())
	f.Add("pana_live_k1_" + strings.Repeat("a", 52) + "_00000000")
	f.Add("pana____")
	f.Fuzz(func(t *testing.T, text string) {
		if parsed, ok := parseToken(text); ok && parsed.encode() != text {
			t.Fatalf("%q is read, but written %q", text, parsed.encode())
		}
	})
}

func TestSeal(t *testing.T) {
	r, _ := start(t)
	for range 2 {
		if err := r.Seal(t.Context(), 1, "0011"); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, r.Seal(t.Context(), 1, "0012"), gateway.Conflict)
	wantKind(t, r.Seal(t.Context(), 2, "0011"), gateway.Conflict)
}
