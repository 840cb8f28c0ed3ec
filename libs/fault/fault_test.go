package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

func TestTheCauseStaysInside(t *testing.T) {
	t.Parallel()
	cause := fmt.Errorf("UNIQUE constraint failed: person anna@skole.example: %w", io.ErrUnexpectedEOF)
	f := fault.New(fault.Unavailable, "STORE_DOWN", "Try again later.").Because(cause).RetryIn(time.Second).With("id", "7")
	if strings.Contains(f.Error(), "anna") || strings.Contains(f.Message(), "anna") {
		t.Errorf("the public text holds the cause: %q", f.Error())
	}
	if !errors.Is(f, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost to errors.Is")
	}
	if f.RetryAfter() != time.Second || f.Metadata()["id"] != "7" {
		t.Errorf("details are lost: %v %v", f.RetryAfter(), f.Metadata())
	}
}

func TestFromMakesAnUnknownErrorInternal(t *testing.T) {
	t.Parallel()
	f := fault.From(errors.New("secret detail"))
	if f.Kind() != fault.Internal || strings.Contains(f.Message(), "secret") {
		t.Errorf("got kind %v, message %q", f.Kind(), f.Message())
	}
	wrapped := fmt.Errorf("while reading: %w", fault.Missing())
	if got := fault.From(wrapped); got.Kind() != fault.NotFound || !fault.Is(wrapped, "NOT_FOUND") {
		t.Errorf("a wrapped fault is not found again: %v", got)
	}
}

func TestDerivingDoesNotChangeTheOriginal(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.Invalid, "R", "m").With("a", "1")
	_ = base.With("b", "2").Because(io.EOF)
	if len(base.Metadata()) != 1 || base.Unwrap() != nil {
		t.Errorf("the original changed: %v %v", base.Metadata(), base.Unwrap())
	}
}
