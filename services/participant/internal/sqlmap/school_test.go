package sqlmap

import "strings"

// school is a small platform with one of each difficulty: a path of two joins, a key of
// two columns, a table without a primary key that repeats the user name, a table with
// a pupil and a grader, and something that must be kept.
const school = `
CREATE TABLE users (id INTEGER PRIMARY KEY, school TEXT NOT NULL, username VARCHAR(40) NOT NULL UNIQUE, email TEXT,
  parent_email TEXT, display_name TEXT, born TEXT);
CREATE TABLE submissions (id INTEGER PRIMARY KEY, userid INTEGER NOT NULL, title TEXT);
CREATE TABLE texts (id INTEGER PRIMARY KEY, submission INTEGER, body TEXT, at BIGINT);
CREATE TABLE grades (pupil INTEGER NOT NULL, course TEXT NOT NULL, grader INTEGER, grade INTEGER, remark TEXT, PRIMARY KEY (pupil, course));
CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, message TEXT NOT NULL);
CREATE TABLE notes (login TEXT NOT NULL, seq INTEGER NOT NULL, note TEXT);
CREATE TABLE bills (id INTEGER PRIMARY KEY, userid INTEGER, payer INTEGER, amount NUMERIC(10,2));
INSERT INTO users VALUES (1, 'c1', 'u1001', 'ann@x.example', 'home@x.example', 'Ann Ravn', '2011-05-06'),
  (2, 'c1', 'u1002', 'bo@x.example', 'home@x.example', 'Bo Ravn', '2012-07-08'),
  (3, 'c1', 'u1003', 'cy@x.example', NULL, 'Cy Lund', NULL), (4, 'c2', 'u1004', 'dan@x.example', NULL, 'Dan Ås', NULL);
INSERT INTO submissions VALUES (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'c'), (40, 4, 'd');
INSERT INTO texts VALUES (100, 10, 'text of ann', 1710000000000000), (101, 11, 'more', NULL), (200, 20, 'text of bo', 1), (400, 40, 'x', 2);
INSERT INTO grades VALUES (1, 'math', 3, 7, 'fine'), (2, 'math', 3, 10, NULL), (3, 'math', 3, 2, 'self'), (4, 'math', NULL, 4, NULL);
INSERT INTO posts VALUES (1, 1, 'I am Ann Ravn'), (2, 2, 'as ANN RAVN said'), (3, 3, 'Ann Ravnsborg is another'), (4, 3, 'no name');
INSERT INTO notes VALUES ('u1001', 1, 'n1'), ('u1001', 2, 'n2'), ('u1002', 1, 'n3');
INSERT INTO bills VALUES (1, 1, 2, 12.50), (2, 2, 1, 3.25)`

const schoolMap = `version: 1
system: school
person:
  table: users
  key: id
  controller: school
  identifiers:
    - {type: UNILOGIN, column: username}
    - {type: EMAIL, column: email}
    - {type: EMAIL, column: parent_email, shared: true}
    - {type: PLATFORM_USER_ID, column: id, provide: false}
datasets:
  - {name: user, table: users, category: IDENTITY, activity: teaching, erase: {action: delete}}
  - name: submissions
    table: submissions
    path: [{column: userid, to: person}]
    category: WORK
    activity: teaching
    subjectProvided: true
    erase: {action: delete}
  - name: texts
    table: texts
    path:
      - {column: submission, to: {table: submissions, column: id}}
      - {column: userid, to: person}
    category: WORK
    activity: teaching
    subjectProvided: true
    erase: {action: delete}
  - name: grades
    table: grades
    path: [{column: pupil, to: person}]
    category: ASSESSMENT
    activity: teaching
    others: [grader]
    erase: {action: delete}
  - name: grades-given
    table: grades
    path: [{column: grader, to: person}]
    category: ASSESSMENT
    activity: teaching
    others: [pupil, grade]
    export: {exclude: [{column: remark, ground: INTERNAL, article: "GDPR art. 23"}]}
    erase: {action: columns, columns: {grader: {do: "null"}}}
  - name: posts
    table: posts
    path: [{column: author, to: person}]
    category: COMMUNICATION
    activity: teaching
    erase: {action: columns, columns: {author: {do: replace, with: 0}, message: {do: replace, with: "erased-{key}"}}}
  - name: notes
    table: notes
    key: [login, seq]
    path: [{column: login, to: {table: users, column: username}}]
    category: NOTES
    activity: teaching
    erase: {action: delete}
  - name: bills
    table: bills
    path: [{column: userid, to: person}]
    category: MONEY
    activity: billing
    erase: {action: keep, ground: BOOKKEEPING_ACT, article: "GDPR art. 17(3)(b)", explanation: {da: "Bogføring.", en: "Bookkeeping."}}
  - name: bills-paid
    table: bills
    path: [{column: payer, to: person}]
    category: MONEY
    activity: billing
    erase: {action: columns, columns: {payer: {do: "null"}}}
mentions:
  - name: named-in-posts
    table: posts
    column: message
    match: [display_name]
    activity: teaching
    ground: FREEDOM_OF_EXPRESSION
    article: "GDPR art. 17(3)(a)"
    explanation: {da: "Skrevet af en anden.", en: "Written by somebody else."}
`

// school fills the database and opens an adapter; edits change the map, in pairs.
func (w *world) school(edits ...string) *Adapter {
	w.Helper()
	w.exec(school)
	return w.adapter(edited(schoolMap, edits...))
}

// edited replaces the first of each pair, which must be there, by the second.
func edited(text string, edits ...string) string {
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			panic("the text has no " + edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}
