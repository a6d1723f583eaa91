-- search: a full text index, filled, questioned and changed.
CREATE VIRTUAL TABLE doc USING fts5(title, body);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000 * :scale)
INSERT INTO doc SELECT 'title ' || i, 'word' || (i % 113) || ' and word' || (i * 7 % 1009) ||
  ' with text' || (i * 13 % 503) || ' and more of it ' || i FROM n;
SELECT count(*) FROM doc WHERE doc MATCH 'word5';
SELECT count(*) FROM doc WHERE doc MATCH 'word1* AND text7*';
DELETE FROM doc WHERE rowid % 3 = 0;
INSERT INTO doc(doc) VALUES('optimize');
SELECT count(*) FROM doc WHERE doc MATCH 'more';
