package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
)

// Engine carries evidence from its request to its end. Every field is required.
type Engine struct {
	Sources
	Store   Store
	Folder  Folder
	Keyring *keyring.Keyring
	Clock   clock.Clock
	// NewID names files.
	NewID func() string
	// Check verifies a package as its receiver will.
	Check func(r io.ReaderAt, size int64) error
}

// Advance gathers evidence. It fails with ErrNotYet when it has to be tried again in a moment. Evidence that has ended is left alone.
// After the last attempt failed, what is given as last, the evidence has failed.
func (e *Engine) Advance(ctx context.Context, ref Ref, last bool) error {
	found, err := e.Store.Get(ctx, ref)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.State != Pending && found.State != Gathering {
		return nil
	}
	err = e.gather(ctx, found)
	reason := reasonOf(err)
	switch {
	case err == nil, errors.Is(err, ErrEnded):
		return nil
	case errors.Is(err, ErrNotYet), ctx.Err() != nil, reason == ReasonUnavailable && !last:
		return err
	}
	found.State, found.Reason, found.Package = Failed, reason, nil
	if ferr := e.Store.Finish(ctx, found); ferr != nil && !errors.Is(ferr, ErrEnded) {
		return errors.Join(err, ferr)
	}
	return nil
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, ErrNoController):
		return ReasonNoController
	case errors.Is(err, ErrDropped):
		return ReasonDropped
	case errors.Is(err, ErrContradiction):
		return ReasonNotVerified
	}
	return ReasonUnavailable
}

// gather writes the package of one evidence to a file of its own, verifies it, and notes that it is there.
func (e *Engine) gather(ctx context.Context, found *Evidence) error {
	cover, err := e.Covered(ctx, found, e.Clock.Now())
	if err != nil {
		return err
	}
	file := FileID(e.NewID())
	if err := e.Store.Begin(ctx, found.Ref, cover.Events, file); err != nil {
		return err
	}
	draft, err := e.Folder.Create(file)
	if err != nil {
		return err
	}
	defer draft.Abort()
	if err := e.Gather(ctx, found, draft, e.Clock.Now(), func(n int64) error { return e.Store.Progress(ctx, found.Ref, n) }); err != nil {
		return err
	}
	sum, size, secret, err := draft.Finish()
	if err != nil {
		return err
	}
	if err := e.verify(file, secret); err != nil {
		return errors.Join(err, e.Folder.Remove(file))
	}
	sealed, err := e.seal(found.Ref, secret)
	if err != nil {
		return errors.Join(err, e.Folder.Remove(file))
	}
	found.Package = &Package{File: file, SHA256: sum, Size: size, Key: sealed.key, Secret: sealed.data}
	found.State, found.Events, found.Total, found.Expires = Ready, cover.Events, cover.Events, e.Clock.Now().Add(Keep)
	if err := e.Store.Finish(ctx, found); err != nil {
		return errors.Join(err, e.Folder.Remove(file))
	}
	return nil
}

// verify reads the package back, as its receiver will.
func (e *Engine) verify(file FileID, secret string) error {
	content, err := e.Folder.Open(file, secret)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := e.Check(content, content.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	return nil
}

type sealed struct{ key, data []byte }

func (e *Engine) seal(ref Ref, secret string) (sealed, error) {
	envelope, key, err := e.Keyring.NewEnvelope(ref.Name())
	if err != nil {
		return sealed{}, err
	}
	data, err := envelope.Seal([]byte(secret))
	return sealed{key, data}, err
}

// Open opens the package of evidence.
func (e *Engine) Open(found *Evidence) (Content, error) {
	envelope, err := e.Keyring.OpenEnvelope(found.Name(), found.Package.Key)
	if err != nil {
		return nil, err
	}
	secret, err := envelope.Open(found.Package.Secret)
	if err != nil {
		return nil, err
	}
	return e.Folder.Open(found.Package.File, string(secret))
}

// expirePage is how many packages are deleted in one go.
const expirePage = 100

// Expire deletes the packages whose time has come, and those that hold what nobody shall read any more because keys were destroyed. The key
// goes first, since without it the file is noise.
func (e *Engine) Expire(ctx context.Context) error {
	due, err := e.Store.Due(ctx, e.Clock.Now(), expirePage)
	if err != nil {
		return err
	}
	for _, found := range due {
		if err := e.Store.Expire(ctx, found); err != nil {
			return err
		}
		if err := e.Folder.Remove(found.Package.File); err != nil {
			return err
		}
	}
	return nil
}
