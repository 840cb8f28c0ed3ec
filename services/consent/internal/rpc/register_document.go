package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// printed reads the register of a controller at one moment and prints a document from it.
func (s *documentsServer) printed(ctx context.Context, parent string, printer func(r documents.Register) (documents.Document, error)) (*httpbody.HttpBody, error) {
	id, err := parseController("parent", parent)
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(id))
	r, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (documents.Register, error) { return s.register(ctx, q, id) })
	if err != nil {
		return nil, err
	}
	doc, err := printer(r)
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: doc.ContentType, Data: doc.Body}, nil
}

// register reads what documents are printed from.
func (s *documentsServer) register(ctx context.Context, q sqldb.Querier, id consent.ControllerID) (r documents.Register, err error) {
	if r.Controller, err = s.Store.Controller(ctx, q, id); err != nil {
		return r, err
	}
	zone, err := r.Controller.Zone()
	if err != nil {
		return r, err
	}
	r.Made = clock.DateOf(s.now(), zone)
	if r.Systems, err = s.Store.Systems(ctx, q, id, "", everything); err != nil {
		return r, err
	}
	if r.Activities, err = s.Store.Activities(ctx, q, id, "", everything); err != nil {
		return r, err
	}
	r.Versions, err = s.versions(ctx, q, r.Activities)
	return r, err
}

// versions reads who made which version when.
func (s *documentsServer) versions(ctx context.Context, q sqldb.Querier, activities []consent.Activity) (map[consent.ActivityID][]documents.Version, error) {
	out := make(map[consent.ActivityID][]documents.Version, len(activities))
	for _, newest := range activities {
		for n := int64(1); n <= newest.Version; n++ {
			v := newest
			if n < newest.Version {
				var err error
				if v, err = s.Store.ActivityVersion(ctx, q, newest.Controller, newest.ID, n); err != nil {
					return nil, err
				}
			}
			out[newest.ID] = append(out[newest.ID], documents.Version{Number: v.Version, Author: v.Author, Time: v.UpdateTime})
		}
	}
	return out, nil
}

// languageOf is the language that a request names, or the controller's.
func languageOf(asked string, c consent.Controller) documents.Language {
	if asked == "" {
		asked = c.Language
	}
	return documents.Language(asked)
}

// formatOf is the format that a request names, or Markdown.
func formatOf(asked string) documents.Format {
	if asked == "" {
		return documents.Markdown
	}
	return documents.Format(asked)
}
