package sample

import (
	"fmt"
)

// talk writes what people say to each other.
func (b *builder) talk() {
	r := random(partTalk)
	for _, c := range b.courses {
		for i, title := range threadTitles {
			b.thread(r, c, title, 10+30*i)
		}
	}
	for _, c := range b.classes {
		b.chats(r, c)
	}
	b.support(r)
}

// thread writes a thread in which everybody is of the class. In the first course of the demonstration's class the pupil starts the
// threads, two classmates name her, and she answers.
func (b *builder) thread(r *dice, c course, title string, from int) {
	class, pupil := b.classes[c.class], b.person(pupilKey)
	shown := c.class == pupil.class && c.subject.name == subjects[0].name
	starter := pick(r, class.pupils)
	if shown {
		starter = pupil.Key
	}
	id := b.add("forum_threads", c.id, starter, title, day(from))
	var before any
	post := func(author int64, body string) {
		at := minute(from+int(b.last["forum_posts"]%5), r.IntN(500))
		n := b.add("forum_posts", id, before, author, body, at)
		if r.IntN(3) > 0 {
			before = n
		}
	}
	for range 6 {
		author, body := pick(r, class.pupils), pick(r, posts)
		if other := pick(r, class.pupils); other != author && r.IntN(3) == 0 {
			body = fmt.Sprintf(pick(r, postsNaming), b.person(other).DisplayName)
		}
		post(author, body)
	}
	if shown {
		post(class.pupils[0], fmt.Sprintf(postsNaming[0], pupil.DisplayName))
		post(pupil.Key, "Tak! Hilsen "+pupil.DisplayName)
		post(class.pupils[len(class.pupils)-1], fmt.Sprintf(postsNaming[1], pupil.DisplayName))
	}
}

// chats writes the messages of a class, and one between two teachers about one of its pupils.
func (b *builder) chats(r *dice, c class) {
	send := func(from, to int64, body string) {
		b.add("messages", from, to, body, minute(r.IntN(90), r.IntN(600)))
	}
	for i, pupil := range c.pupils {
		p, next := b.person(pupil), b.person(c.pupils[(i+1)%len(c.pupils)])
		send(p.Key, next.Key, "Hej "+next.FirstName+". "+pick(r, chats)+" Hilsen "+p.FirstName)
		send(c.teacher, p.Key, "Kære "+p.DisplayName+". "+pick(r, chats))
		if r.IntN(2) == 0 {
			send(p.Key, c.teacher, pick(r, chats)+" Venlig hilsen "+p.DisplayName)
		}
	}
	about := b.person(c.pupils[len(c.pupils)/2])
	if class := b.person(pupilKey).class; c.name == b.classes[class].name && c.school == b.classes[class].school {
		about = b.person(pupilKey)
	}
	send(c.teacher, b.staff(c.school, int(c.teacher)), "Kan du tale med "+about.DisplayName+" om praktikugen?")
}

// support writes tickets that know people by address alone: every seventh person by e-mail, every eleventh by telephone, and a
// parent or two. Those of the twins' telephone cannot be told apart.
func (b *builder) support(r *dice) {
	for _, p := range b.people {
		handler := b.staff(p.Controller, int(p.Key))
		body := "Hej support. Det gælder " + p.UniLogin + ". Venlig hilsen " + p.DisplayName
		if p.Key == pupilKey || p.Key%7 == 3 {
			b.add("support_tickets", p.Email, nil, pick(r, tickets), body, handler, minute(r.IntN(90), 60))
		}
		if p.Key == pupilKey || p.Key == twinKey || p.Key%11 == 5 {
			b.add("support_tickets", nil, p.Phone, pick(r, tickets), body, handler, minute(r.IntN(90), 120))
		}
		if p.Key%40 == 30 && p.GuardianEmail != "" {
			b.add("support_tickets", p.GuardianEmail, nil, "Adgang for forældre", "Hvordan ser jeg ugeplanen?", handler, minute(r.IntN(90), 700))
		}
	}
}
