-- Way back from 09_skills: what is kept and counted of skills goes; it is made again when it is asked for.

DROP TABLE skill_tally;
DROP TABLE skill_clearing;
DROP TABLE skill_claim;
DROP TABLE skill_result;
