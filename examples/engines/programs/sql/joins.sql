-- joins: two tables, an index, and questions that join and group them.
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, city INTEGER);
CREATE TABLE visit(person INTEGER, day INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000 * :scale)
INSERT INTO person SELECT i, 'name ' || i, i % 97 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000 * :scale)
INSERT INTO visit SELECT i % 20000 + 1, i % 365, 'note ' || (i * 7919) % 1000 FROM n;
CREATE INDEX by_person ON visit(person);
SELECT city, count(*), max(note) FROM person JOIN visit ON visit.person = person.id
GROUP BY city ORDER BY count(*) DESC, city LIMIT 5;
UPDATE person SET name = name || '!' WHERE city % 2 = 0;
DELETE FROM visit WHERE day > 300;
SELECT count(*), sum(length(name)) FROM person;
SELECT count(DISTINCT note) FROM visit;
