package store

import (
	"context"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// newest says that a row of subject_link is the last of its identifier.
func newest(row string) string {
	return `NOT EXISTS (SELECT 1 FROM subject_link later WHERE later.controller = ` + row + `.controller
		AND later.subject_ref = ` + row + `.subject_ref AND later.link_revision > ` + row + `.link_revision)`
}

// Links implements consent.LinkStore.
func (Store) Links(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (consent.Links, error) {
	own, err := collect(ctx, q, scanLink, `SELECT l.subject_ref, l.person_id, l.shared FROM subject_link l
		WHERE l.controller = $1 AND l.subject_ref IN (`+list(2, len(refs))+`) AND `+newest("l"), arguments([]any{string(controller)}, refs)...)
	if err != nil {
		return nil, wrap("read links", err)
	}
	links, persons := consent.Links(own), []consent.SubjectRef{}
	for _, l := range own {
		if !l.Shared && !slices.Contains(persons, l.Person) {
			persons = append(persons, l.Person)
		}
	}
	for _, person := range persons {
		same, err := collect(ctx, q, scanLink, `SELECT l.subject_ref, l.person_id, l.shared FROM subject_link l
			WHERE l.controller = $1 AND l.person_id = $2 AND l.shared = 0 AND `+newest("l")+` ORDER BY l.subject_ref`, string(controller), string(person))
		if err != nil {
			return nil, wrap("read a person's links", err)
		}
		for _, l := range same {
			if !slices.Contains(links, l) {
				links = append(links, l)
			}
		}
	}
	return links, nil
}

func scanLink(row sqldb.Row) (l consent.Link, err error) {
	var shared int64
	err = row.Scan((*string)(&l.Subject), (*string)(&l.Person), &shared)
	l.Shared = sqldb.Truth(shared)
	return l, err
}

// named is one identifier in a naming, as it is stored.
type named struct {
	revision consent.Revision
	ref      consent.SubjectRef
	primary  bool
	shared   bool
}

// Namings implements consent.LinkStore. It goes from identifier to identifier, and no further at one that is shared: chains end
// there.
func (Store) Namings(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) ([]consent.Naming, error) {
	found, seen := map[consent.Revision]*consent.Naming{}, map[consent.SubjectRef]bool{}
	for next := refs; len(next) > 0; {
		for _, ref := range next {
			seen[ref] = true
		}
		rows, err := collect(ctx, q, scanNamed, `SELECT n.link_revision, n.subject_ref, n.is_primary, l.shared FROM subject_naming n
			JOIN subject_link l ON l.controller = n.controller AND l.subject_ref = n.subject_ref
			WHERE n.controller = $1 AND `+newest("l")+` AND n.link_revision IN (SELECT mine.link_revision FROM subject_naming mine
				WHERE mine.controller = $1 AND mine.subject_ref IN (`+list(2, len(next))+`))
			ORDER BY n.link_revision, n.subject_ref`, arguments([]any{string(controller)}, next)...)
		if err != nil {
			return nil, wrap("read namings", err)
		}
		next = nil
		for _, row := range rows {
			row.into(found)
			if !row.shared && !seen[row.ref] && !slices.Contains(next, row.ref) {
				next = append(next, row.ref)
			}
		}
	}
	return inOrder(found), nil
}

func (n named) into(found map[consent.Revision]*consent.Naming) {
	to := found[n.revision]
	if to == nil {
		to = &consent.Naming{Revision: n.revision}
		found[n.revision] = to
	}
	if slices.Contains(to.Subjects, n.ref) {
		return // the naming was found before, from another of its identifiers
	}
	to.Subjects = append(to.Subjects, n.ref)
	if n.primary {
		to.Primary = append(to.Primary, n.ref)
	}
}

func inOrder(found map[consent.Revision]*consent.Naming) []consent.Naming {
	out := make([]consent.Naming, 0, len(found))
	for _, n := range found {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b consent.Naming) int { return int(a.Revision - b.Revision) })
	return out
}

func scanNamed(row sqldb.Row) (n named, err error) {
	var primary, shared int64
	err = row.Scan((*int64)(&n.revision), (*string)(&n.ref), &primary, &shared)
	n.primary, n.shared = sqldb.Truth(primary), sqldb.Truth(shared)
	return n, err
}

// AddUnion implements consent.LinkStore.
func (Store) AddUnion(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID, u consent.Union) error {
	for _, ref := range u.Naming.Subjects {
		_, err := tx.Exec(ctx, `INSERT INTO subject_naming (controller, subject_ref, link_revision, is_primary) VALUES ($1, $2, $3, $4)`,
			string(controller), string(ref), int64(u.Revision), sqldb.Bool(slices.Contains(u.Naming.Primary, ref)))
		if err != nil {
			return wrap("add a naming", err)
		}
	}
	for _, l := range u.Changed {
		_, err := tx.Exec(ctx, `INSERT INTO subject_link (controller, subject_ref, person_id, shared, link_time, link_revision)
			VALUES ($1, $2, $3, $4, $5, $6)`,
			string(controller), string(l.Subject), string(l.Person), sqldb.Bool(l.Shared), sqldb.Micros(u.Time), int64(u.Revision))
		if err != nil {
			return wrap("add a link", err)
		}
	}
	return nil
}
