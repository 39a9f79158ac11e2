package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// keyLife is how long a key lives when its grant does not say.
const keyLife = 365 * 24 * time.Hour

// A KeySpec is a grant: who may act, as what.
type KeySpec struct {
	Subject   string               // the person's id; of an agency's key, the agency's by default
	Org       string               // the organisation's id; of an agency's key, the agency's by default
	Role      gateway.Role         // Required
	Agency    gateway.AgencyID     // of RoleAgency: Required
	Unit      string               // of RoleAgency: the part of it (a shelter, a station) that holds the key, or ""
	Contracts []gateway.ContractID // of RoleAgency: by default its agency's contract
	Purposes  []gateway.Purpose    // of RoleResearcher: Required
	Expires   time.Time            // by default a year from now
	Env       string               // names the installation in the token; by default "live"
}

// A Key is what is known of an API key. Its secret is not.
type Key struct {
	ID      string
	Spec    KeySpec
	Unit    int // number of Spec.Unit, 0 for none
	Created time.Time
	Revoked time.Time // zero while it is not
}

// AddKey makes an API key and returns its token, which is shown once and not stored,
// and its id. It reports Conflict when the grant would join agency and researcher, or
// officer and researcher, in one organisation or person (decisions.md 9).
func (r *Registry) AddKey(ctx context.Context, actor string, spec KeySpec) (string, string, error) {
	spec.complete(r.opt.Now())
	if err := spec.validate(r.opt.Now()); err != nil {
		return "", "", err
	}
	id, err := r.newID("k")
	if err != nil {
		return "", "", err
	}
	secret, err := r.random(secretSize)
	if err != nil {
		return "", "", err
	}
	t := token{env: spec.Env, id: id, secret: [secretSize]byte(secret)}
	err = r.change(ctx, func(ctx context.Context, c *change) error {
		if err := c.mayGrant(ctx, &spec); err != nil {
			return err
		}
		unit, err := c.unit(ctx, spec.Agency, spec.Unit)
		if err != nil {
			return err
		}
		if err := c.storeKey(ctx, t, spec, unit); err != nil {
			return internal("storing a key", err)
		}
		_, err = c.log(ctx, ledger.Entry{
			Event: ledger.AccessGrant, Actor: actor, Object: id, Outcome: ledger.Done,
			Detail: map[string]any{
				"subject": spec.Subject, "org": spec.Org, "role": spec.Role, "agency": spec.Agency,
				"contracts": spec.Contracts, "purposes": spec.Purposes, "expires": spec.Expires.UTC(), "unit": unit,
			},
		})
		return err
	})
	if err != nil {
		return "", "", err
	}
	return t.encode(), id, nil
}

func (s *KeySpec) complete(now time.Time) {
	if s.Role == gateway.RoleAgency {
		if s.Subject == "" {
			s.Subject = string(s.Agency)
		}
		if s.Org == "" {
			s.Org = string(s.Agency)
		}
	}
	if s.Env == "" {
		s.Env = "live"
	}
	if s.Expires.IsZero() {
		s.Expires = now.Add(keyLife)
	}
}

func (s *KeySpec) validate(now time.Time) error {
	agency, researcher := s.Role == gateway.RoleAgency, s.Role == gateway.RoleResearcher
	switch {
	case !slices.Contains([]gateway.Role{gateway.RoleAgency, gateway.RoleResearcher, gateway.RoleOfficer, gateway.RoleSteward, gateway.RoleOperator}, s.Role):
		return gateway.Errorf(gateway.Invalid, "the role is agency, researcher, officer, steward or operator")
	case !shortID.MatchString(s.Subject) || !shortID.MatchString(s.Org):
		return gateway.Errorf(gateway.Invalid, "subject and organisation are ids that match %s", shortID)
	case agency != (s.Agency != ""):
		return gateway.Errorf(gateway.Invalid, "a key of role agency, and no other, names its agency")
	case s.Unit != "" && (!agency || !shortID.MatchString(s.Unit)):
		return gateway.Errorf(gateway.Invalid, "a unit is of a key of role agency, an id that matches %s", shortID)
	case !agency && len(s.Contracts) > 0:
		return gateway.Errorf(gateway.Invalid, "only a key of role agency names contracts")
	case researcher != (len(s.Purposes) > 0):
		return gateway.Errorf(gateway.Invalid, "a key of role researcher, and no other, names purposes")
	case !all(s.Purposes, func(p gateway.Purpose) bool { return shortID.MatchString(string(p)) }):
		return gateway.Errorf(gateway.Invalid, "a purpose is an id that matches %s", shortID)
	case !lowerAlnum(s.Env, maxEnv):
		return gateway.Errorf(gateway.Invalid, "env is 1 to %d lower-case letters and digits", maxEnv)
	case !s.Expires.After(now):
		return gateway.Errorf(gateway.Invalid, "the key would be expired")
	}
	return nil
}

// mayGrant checks a grant against what is registered and granted already, and fills
// in the contracts of an agency's key.
func (c *change) mayGrant(ctx context.Context, s *KeySpec) error {
	if s.Role == gateway.RoleAgency {
		var contract gateway.ContractID
		err := c.QueryRowContext(ctx, `SELECT contract FROM agency WHERE id = ?`, s.Agency).Scan(&contract)
		if err != nil {
			return missing(err, "agency %s is not registered", s.Agency)
		}
		if !all(s.Contracts, func(id gateway.ContractID) bool { return id == contract }) {
			return gateway.Errorf(gateway.Invalid, "agency %s is registered under %s only", s.Agency, contract)
		}
		s.Contracts = []gateway.ContractID{contract}
	}
	return c.apart(ctx, s.Org, s.Subject, s.Role)
}

// apart refuses to join researcher with agency or officer in one organisation or
// person, and with steward in one person: whoever sends, builds or approves data must
// not be the one who attacks it (decisions.md 9, disclosure.md 2.5). Expired keys count, because they may be
// renewed; revoked do not, but for an agency's whose batches are still there: it
// knows what it sent, and releases hold it.
func (c *change) apart(ctx context.Context, org, subject string, role gateway.Role) error {
	var rivals []any // two as organisation or person, one as person
	switch role {
	case gateway.RoleResearcher:
		rivals = []any{gateway.RoleAgency, gateway.RoleOfficer, gateway.RoleSteward}
	case gateway.RoleAgency, gateway.RoleOfficer:
		rivals = []any{gateway.RoleResearcher, gateway.RoleResearcher, ""}
	case gateway.RoleSteward:
		rivals = []any{"", "", gateway.RoleResearcher}
	case gateway.RoleOperator:
		return nil
	}
	var rival string
	var person bool
	err := c.QueryRowContext(ctx, `SELECT role, subject = ?2 FROM api_key AS k WHERE ((org = ?1 OR subject = ?2) AND role IN (?3, ?4) OR subject = ?2 AND role = ?5)
			AND (revoked IS NULL OR EXISTS (SELECT 1 FROM batch WHERE agency = k.agency AND state IN ('committed', 'published')))
		UNION ALL SELECT 'agency', id = ?2 FROM agency WHERE ?6 = 'researcher' AND id IN (?1, ?2) LIMIT 1`,
		append([]any{org, subject}, append(rivals, role)...)...).Scan(&rival, &person)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return internal("reading the keys", err)
	}
	who := "organisation " + org
	if person {
		who = subject
	}
	return gateway.Errorf(gateway.Conflict, "%s acts as %s; one person or organisation is never that and %s", who, rival, role)
}

func (c *change) storeKey(ctx context.Context, t token, s KeySpec, unit int) error {
	contracts, err := json.Marshal(s.Contracts)
	if err != nil {
		return err
	}
	purposes, err := json.Marshal(s.Purposes)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(t.secret[:])
	agency := sql.NullString{String: string(s.Agency), Valid: s.Agency != ""}
	_, err = c.ExecContext(ctx, `INSERT INTO api_key
		(id, secret, env, subject, org, role, agency, contracts, purposes, created, expires, unit)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))`,
		t.id, hash[:], t.env, s.Subject, s.Org, s.Role, agency, string(contracts), string(purposes),
		millis(c.now), millis(s.Expires), unit)
	return err
}

// RevokeKey ends a key at once. It may be repeated. It reports Conflict for the last
// operator's key that is alive: nobody could grant another.
func (r *Registry) RevokeKey(ctx context.Context, actor, id string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var revoked, operator bool // an operator whose key is alive
		var others int
		err := c.QueryRowContext(ctx, `SELECT revoked IS NOT NULL, role = 'operator' AND expires > ?2, (SELECT count(*) FROM api_key AS o
			WHERE o.role = 'operator' AND o.revoked IS NULL AND o.expires > ?2 AND o.id <> ?1) FROM api_key WHERE id = ?1`,
			id, millis(c.now)).Scan(&revoked, &operator, &others)
		switch {
		case err != nil:
			return missing(err, "there is no such key")
		case revoked:
			return nil
		case operator && others == 0:
			return gateway.Errorf(gateway.Conflict, "this is the last operator's key that is alive; grant another one first")
		}
		if err := c.only(ctx, `UPDATE api_key SET revoked = ? WHERE id = ?`, millis(c.now), id); err != nil {
			return err
		}
		_, err = c.log(ctx, ledger.Entry{Event: ledger.AccessRevoke, Actor: actor, Object: id, Outcome: ledger.Done})
		return err
	})
}

// keyColumns have values even where an outer join found no key.
const keyColumns = `coalesce(id, ''), coalesce(secret, zeroblob(32)), coalesce(env, ''), coalesce(subject, ''),
	coalesce(org, ''), coalesce(role, ''), coalesce(agency, ''), coalesce(contracts, '[]'), coalesce(purposes, '[]'),
	coalesce(created, 0), coalesce(expires, 0), coalesce(revoked, 0), coalesce(unit, 0),
	coalesce((SELECT name FROM unit AS u WHERE u.id = api_key.unit), '')`

// Keys returns every key, the newest first.
func (r *Registry) Keys(ctx context.Context) ([]Key, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_key ORDER BY created DESC, id`)
	if err != nil {
		return nil, internal("reading the keys", err)
	}
	defer rows.Close()
	var list []Key
	for rows.Next() {
		k, _, err := scanKey(rows)
		if err != nil {
			return nil, internal("reading the keys", err)
		}
		list = append(list, k)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading the keys", err)
	}
	return list, nil
}

func scanKey(row interface{ Scan(into ...any) error }) (Key, []byte, error) {
	var k Key
	var secret, contracts, purposes []byte
	var created, expires, revoked int64
	err := row.Scan(&k.ID, &secret, &k.Spec.Env, &k.Spec.Subject, &k.Spec.Org, &k.Spec.Role, &k.Spec.Agency,
		&contracts, &purposes, &created, &expires, &revoked, &k.Unit, &k.Spec.Unit)
	if err != nil {
		return Key{}, nil, err
	}
	if err := errors.Join(json.Unmarshal(contracts, &k.Spec.Contracts), json.Unmarshal(purposes, &k.Spec.Purposes)); err != nil {
		return Key{}, nil, err
	}
	k.Created, k.Spec.Expires = fromMillis(created), fromMillis(expires)
	if revoked != 0 {
		k.Revoked = fromMillis(revoked)
	}
	return k, secret, nil
}

// Authenticate returns who holds a token. Malformed, unknown, wrong, expired and
// revoked tokens take the same path and give the same error (trust.md 5.5, B61, B62).
func (r *Registry) Authenticate(ctx context.Context, text string) (gateway.Caller, error) {
	t, formed := parseToken(text)
	// The outer join has a row for an unknown id, too, and what follows is the same.
	k, secret, err := scanKey(r.read.QueryRowContext(ctx,
		`SELECT `+keyColumns+` FROM (SELECT 1) LEFT JOIN api_key ON id = ?`, t.id))
	if err != nil {
		return gateway.Caller{}, internal("reading the keys", err)
	}
	hash := sha256.Sum256(t.secret[:])
	same := subtle.ConstantTimeCompare(hash[:], secret) == 1
	alive := k.Revoked.IsZero() && r.opt.Now().Before(k.Spec.Expires)
	if !formed || k.ID == "" || !same || !alive || k.Spec.Env != t.env {
		r.failed(ctx)
		return gateway.Caller{}, gateway.Errorf(gateway.Unauthenticated, "a valid API key is needed")
	}
	return gateway.Caller{
		Key: k.ID, Subject: k.Spec.Subject, Org: k.Spec.Org, Role: k.Spec.Role, Agency: k.Spec.Agency,
		Contract: k.Spec.Contracts, Purposes: k.Spec.Purposes, Unit: k.Unit,
	}, nil
}
