package access_test

import (
	"testing"

	"github.com/privacyops/privacyops/libs/access"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

func TestCallerOfAContext(t *testing.T) {
	t.Parallel()
	if c := access.CallerFrom(t.Context()); c.HasToken() || c.Has(authv1.Rule_DPO, authv1.Rule_OPERATOR) || c.Reaches("") || c.Service != "" {
		t.Errorf("out of nowhere comes %+v", c)
	}
	want := access.Caller{Ref: "usr_1", Roles: []authv1.Rule_Role{authv1.Rule_DPO, authv1.Rule_SRE}, Controllers: []string{"a"}}
	got := access.CallerFrom(access.WithCaller(t.Context(), want))
	if got.Ref != want.Ref || !got.Reaches("a") || got.Reaches("b") || !got.Has(authv1.Rule_SRE) || got.Has(authv1.Rule_AUDITOR) {
		t.Errorf("got %+v", got)
	}
	if names := got.RoleNames(); len(names) != 2 || names[0] != "DPO" || names[1] != "SRE" {
		t.Errorf("role names %v", names)
	}
}
