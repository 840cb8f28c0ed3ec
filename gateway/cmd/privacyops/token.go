package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/services/audit"
)

// tokenCommand makes tokens of the development issuer.
type tokenCommand struct {
	Data        string        `help:"Data folder of the installation." default:".privacyops" env:"PRIVACYOPS_DATA"`
	Role        string        `help:"Role of the holder." enum:"platform,partner,dpo,auditor,operator,sre" required:""`
	Controller  []string      `help:"Controller that the token reaches; may be repeated. '*' for operator and sre alone." required:""`
	SubjectName string        `help:"Name that tells the holder from others: two people need two names." default:"development"`
	Expires     time.Duration `help:"How long it lives." default:"1h"`
}

// Run prints a token. Where the installation keeps a log in the same folder, that a token is made is noted in it first: who has one
// can act as anybody.
func (c *tokenCommand) Run(ctx context.Context) error {
	for _, id := range c.Controller {
		if id == "*" && c.Role != "operator" && c.Role != "sre" {
			return errors.New("only operator and sre reach all controllers; name the controllers")
		}
	}
	issuer, err := access.OpenIssuer(filepath.Join(c.Data, "keys"))
	if err != nil {
		return err
	}
	database := filepath.Join(c.Data, "audit.db")
	if _, err := os.Stat(database); err == nil {
		if err := audit.Note(ctx, "sqlite:"+database, "token.issue"); err != nil {
			return fmt.Errorf("no token is made, because that cannot be noted in the log: %w", err)
		}
	}
	now := time.Now()
	token, err := issuer.Token(access.Claims{Subject: c.SubjectName, Roles: []string{c.Role}, Controllers: c.Controller, Issued: now, Expires: now.Add(c.Expires)})
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
