-- strings: concatenated, replaced and aggregated by row; JSON made and read.
CREATE TABLE t(a TEXT, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000 * :scale)
INSERT INTO t SELECT 'row ' || i || ' of ' || hex(i * 31), upper('abc' || i) FROM n;
SELECT length(group_concat(replace(a, 'row', 'line'), '; ')) FROM t;
SELECT substr(b, 1, 4) AS k, count(*), length(group_concat(a)) FROM t GROUP BY k ORDER BY k LIMIT 5;
SELECT sum(json_extract(json_object('a', a, 'list', json_array(1, 2, rowid)), '$.list[2]')) FROM t;
SELECT sum(length(printf('%08d|%-20s|%x', rowid, b, rowid))) FROM t;
