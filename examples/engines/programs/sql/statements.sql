-- statements: many small ones inside one: views, triggers, savepoints, a window over a sort.
CREATE TABLE account(id INTEGER PRIMARY KEY, owner TEXT, amount INTEGER);
CREATE TABLE log(line TEXT);
CREATE TRIGGER noted AFTER UPDATE ON account BEGIN
  INSERT INTO log VALUES(old.owner || ': ' || old.amount || ' -> ' || new.amount);
END;
CREATE VIEW rich AS SELECT owner, amount FROM account WHERE amount > 500;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000 * :scale)
INSERT INTO account SELECT i, 'owner ' || (i * 7919 % 10007), i % 1000 FROM n;
SAVEPOINT before;
UPDATE account SET amount = amount + 100 WHERE id % 3 = 0;
SELECT count(*), max(line) FROM log;
ROLLBACK TO before;
SELECT count(*) FROM log;
UPDATE account SET amount = amount * 2 WHERE id % 5 = 0;
SELECT owner, amount, rank() OVER (ORDER BY amount DESC, owner) FROM rich LIMIT 3;
SELECT sum(r) FROM (SELECT row_number() OVER (PARTITION BY amount ORDER BY owner) AS r FROM account);
