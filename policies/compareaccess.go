package policies

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// releaseStates are what access is compared about; "" is without a release.
var releaseStates = []gateway.ReleaseState{
	"", gateway.ReleaseBuilding, gateway.ReleaseBuilt, gateway.ReleaseApproved, gateway.ReleaseSuperseded, gateway.ReleaseWithdrawn, gateway.ReleaseFailed,
}

// How a case is told from the same one with a purpose that was granted.
const (
	foreignPurpose = " for a purpose that was not granted"
	withoutPurpose = " without a purpose"
)

var accessRoles = []gateway.Role{
	gateway.RoleAgency, gateway.RoleResearcher, gateway.RoleOfficer, gateway.RoleSteward, gateway.RoleOperator,
}

// compareAccess compares who may do what: every role, action and state of a release,
// for a purpose that was granted and for one that was not.
func compareAccess(ctx context.Context, before, after *Set, actions []gateway.ActionName) ([]Change, error) {
	var changes []Change
	for _, role := range accessRoles {
		for _, act := range actions {
			now, because := after.reach(ctx, role, act)
			change := Change{What: fmt.Sprintf("access: %s %s", role, act), After: words(now), Direction: Other, Because: because}
			switch {
			case before == nil && len(now) == 0:
				continue
			case before != nil:
				was, _ := before.reach(ctx, role, act)
				if slices.Equal(was, now) {
					continue
				}
				change.Before = words(was)
				change.Direction = either(slices.ContainsFunc(now, func(c string) bool { return !slices.Contains(was, c) }))
			}
			changes = append(changes, change)
		}
	}
	return changes, ctx.Err()
}

// reach is in which cases a role may do something. What is not decided is denied.
func (s *Set) reach(ctx context.Context, role gateway.Role, act gateway.ActionName) (cases []string, because string) {
	const granted, foreign gateway.Purpose = "granted", "foreign"
	caller := gateway.Caller{Role: role, Purposes: []gateway.Purpose{granted}}
	for _, state := range releaseStates {
		var release *gateway.Release
		where := "without a release"
		if state != "" {
			release, where = &gateway.Release{State: state}, "release "+string(state)
		}
		for _, purpose := range []gateway.Purpose{granted, foreign, ""} {
			grant, err := s.Decide(ctx, caller, act, purpose, release)
			if err != nil || !grant.Allow {
				continue
			}
			because = grant.Because
			switch purpose {
			case granted:
				cases = append(cases, where)
			case foreign:
				cases = append(cases, where+foreignPurpose)
			default:
				cases = append(cases, where+withoutPurpose)
			}
		}
	}
	return cases, because
}

// words names the cases, or that there are none, or that there are no conditions.
func words(cases []string) string {
	switch len(cases) {
	case 0:
		return "denied"
	case 3 * len(releaseStates):
		return "allowed"
	}
	return "allowed: " + strings.Join(cases, ", ")
}
