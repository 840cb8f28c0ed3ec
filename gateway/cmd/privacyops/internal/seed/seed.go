// Package seed puts the sample into a suite through its own REST interface: the learning platform's database and data map
// beside it, and controllers, systems and activities in the register.
package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/restclient"
	"github.com/privacyops/privacyops/libs/access"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// Platform builds the sample learning platform in a folder, unless it is there already, and says how to speak for it.
func Platform(ctx context.Context, dir string) (system participant.SystemConfig, database string, err error) {
	database = filepath.Join(dir, "learning-platform.db")
	if err := sample.Build(ctx, database); err != nil && !errors.Is(err, fs.ErrExist) {
		return system, "", fmt.Errorf("build the sample platform: %w", err)
	}
	dataMap, err := sample.WriteDataMap(dir)
	if err != nil {
		return system, "", fmt.Errorf("write the sample's data map: %w", err)
	}
	return participant.SystemConfig{Name: sample.System, DataMap: dataMap, Database: "sqlite:" + database,
		Controllers: []string{sample.Controller, sample.OtherController}}, database, nil
}

// Controllers of the sample with their names for people.
var controllers = []struct{ id, name string }{
	{sample.Controller, "Sønderskolen"}, {sample.OtherController, "Vesterskolen"},
}

// Options say how the sample's controllers decide.
type Options struct {
	// Approvals is how many people approve an erasure.
	Approvals int32
	// Grace is how long an approved erasure can be called back.
	Grace time.Duration
}

// Register enters the sample into the register. What is there already stays as it is.
func Register(ctx context.Context, base string, issuer *access.Issuer, o Options) error {
	operator, err := Token(issuer, "operator", "*", "operator@vendor.example")
	if err != nil {
		return err
	}
	for _, c := range controllers {
		dpo, err := Token(issuer, "dpo", c.id, "dpo@"+c.id+".example")
		if err != nil {
			return err
		}
		if err := registerController(ctx, base, operator, dpo, c.id, c.name, o); err != nil {
			return fmt.Errorf("register %s: %w", c.id, err)
		}
	}
	return nil
}

func registerController(ctx context.Context, base, operator, dpo, id, name string, o Options) error {
	op, officer := restclient.Client{Base: base, Token: operator}, restclient.Client{Base: base, Token: dpo}
	if err := create(ctx, op, "/v1/controllers?controllerId="+id, &consentv1.Controller{DisplayName: name, Jurisdiction: "DK",
		TimeZone: "Europe/Copenhagen", Language: "da", Contact: "kontoret@" + id + ".example",
		Dpo:               &consentv1.ContactPerson{Name: "Databeskyttelsesrådgiveren", Email: "dpo@" + id + ".example"},
		RequiredApprovals: o.Approvals, GracePeriod: durationpb.New(o.Grace)}); err != nil {
		return err
	}
	if err := create(ctx, op, "/v1/controllers/"+id+"/systems?systemId="+sample.System, &consentv1.System{
		DisplayName: "Læringsplatform", Participant: sample.System, Location: "DK", OperatedBy: "The vendor", Mandatory: true, Order: 10}); err != nil {
		return err
	}
	for _, a := range sample.Activities() {
		if err := create(ctx, officer, "/v1/controllers/"+id+"/activities?activityId="+a.ID, activity(a)); err != nil {
			return err
		}
	}
	return nil
}

func activity(a sample.Activity) *consentv1.Activity {
	return &consentv1.Activity{Purpose: a.Purpose, LegalBasis: typev1.LegalBasis(typev1.LegalBasis_value[a.LegalBasis]),
		DataCategories: a.DataCategories, SubjectCategories: a.SubjectCategories, Recipients: a.Recipients, Systems: a.Systems,
		Locations: a.Locations, Retention: &consentv1.Retention{Period: a.RetentionPeriod, Event: a.RetentionEvent, Protected: a.Protected, Ground: a.Ground}}
}

// create posts a resource; one that exists already is no error.
func create(ctx context.Context, c restclient.Client, path string, m proto.Message) error {
	err := c.Post(ctx, path, m, nil)
	var e *restclient.Error
	if errors.As(err, &e) && e.Status == http.StatusConflict {
		return nil
	}
	return err
}

// tokenLife is how long the tokens live that are made for trying things out.
const tokenLife = 12 * time.Hour

// Token makes a token of the development issuer for one role at one controller.
func Token(issuer *access.Issuer, role, controller, subject string) (string, error) {
	now := time.Now()
	return issuer.Token(access.Claims{Subject: subject, Roles: []string{role}, Controllers: []string{controller},
		Issued: now, Expires: now.Add(tokenLife)})
}
